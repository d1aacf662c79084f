// What `npm run warm` starts: see src/bin/warm.ts.
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { entry } from './entry.js';

module.enableCompileCache(
  fileURLToPath(new URL('../node_modules/.cache/palisade', import.meta.url)),
);
await import(entry('warm').href);
