import { PAGES } from '../route/pages.ts';

/** What a key press asks for. `wait` means the first key of two was pressed. */
export type Shortcut =
  | { readonly kind: 'go'; readonly path: string }
  | { readonly kind: 'search' }
  | { readonly kind: 'help' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'none' };

/** How long the second key of two may take. */
export const CHORD_MS = 1200;

/** The meaning of a key, given whether `g` was pressed just before. */
export function shortcutOf(key: string, afterG: boolean): Shortcut {
  if (afterG) {
    const page = PAGES.find((entry) => entry.key === key);
    return page === undefined ? { kind: 'none' } : { kind: 'go', path: page.path };
  }
  switch (key) {
    case 'g':
      return { kind: 'wait' };
    case '/':
      return { kind: 'search' };
    case '?':
      return { kind: 'help' };
    case 'p':
      return { kind: 'pause' };
    default:
      return { kind: 'none' };
  }
}
