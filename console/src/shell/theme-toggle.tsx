import { type ReactNode, useState } from 'react';
import { Icon } from '../parts/icon.tsx';
import { applyTheme, nextTheme, rememberedTheme } from './theme.ts';

/** Goes round system, light and dark. */
export function ThemeToggle(): ReactNode {
  const [theme, setTheme] = useState(rememberedTheme);
  const change = (): void => {
    const next = nextTheme(theme);
    applyTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" className="tool-button" onClick={change} title={`Theme: ${theme}`}>
      <Icon name={theme === 'dark' ? 'moon' : theme === 'light' ? 'sun' : 'half'} />
      <span className="visually-hidden">Theme: {theme}</span>
    </button>
  );
}
