import { defineConfig } from 'vite';

/**
 * The control plane serves `dist` under `default-src 'self'`: nothing may be inlined, neither the
 * module preload script nor assets as data URLs.
 */
export default defineConfig({
  base: '/',
  build: {
    target: 'es2024',
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
