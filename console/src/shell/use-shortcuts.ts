import { useEffect } from 'react';
import { navigate } from '../route/use-place.ts';
import { CHORD_MS, shortcutOf } from './shortcut.ts';

/** Obeys the keyboard shortcuts wherever the reader is not typing. */
export function useShortcuts(actions: { help: () => void; pause: () => void }): void {
  const { help, pause } = actions;
  useEffect(() => {
    let pressedGAt = Number.NEGATIVE_INFINITY;
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const shortcut = shortcutOf(event.key, event.timeStamp - pressedGAt < CHORD_MS);
      pressedGAt = shortcut.kind === 'wait' ? event.timeStamp : Number.NEGATIVE_INFINITY;
      if (shortcut.kind === 'none' || shortcut.kind === 'wait') return;
      event.preventDefault();
      if (shortcut.kind === 'go') navigate(shortcut.path);
      else if (shortcut.kind === 'search') focusSearch();
      else if (shortcut.kind === 'help') help();
      else pause();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [help, pause]);
}

function focusSearch(): void {
  const box = document.querySelector<HTMLInputElement>('input[data-search]');
  box?.focus();
  box?.select();
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select');
}
