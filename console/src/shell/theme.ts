/** `system` follows the reader's operating system. */
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'palisade.theme';
const ORDER: readonly Theme[] = ['system', 'light', 'dark'];

/** The theme this browser was told last. */
export function rememberedTheme(): Theme {
  try {
    const stored = window.localStorage.getItem(KEY);
    return ORDER.find((theme) => theme === stored) ?? 'system';
  } catch {
    // A browser that keeps nothing for us still shows the console.
    return 'system';
  }
}

/** The theme after this one, as the toggle goes round. */
export function nextTheme(theme: Theme): Theme {
  return ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] ?? 'system';
}

/** Shows the theme now and remembers it. */
export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  try {
    window.localStorage.setItem(KEY, theme);
  } catch {
    // Not remembered; shown all the same.
  }
}
