import type { ReactNode } from 'react';

const PATHS = {
  lock: 'M4 7V5a4 4 0 0 1 8 0v2h1v7H3V7zm2 0h4V5a2 2 0 0 0-4 0z',
  unlock:
    'M5.5 7H13v7H3V7h.5V4.500a3.500 3.500 0 0 1 6.800-1.200l-1.800.7A1.600 1.600 0 0 0 5.500 4.500z',
  cross:
    'M3.300 4.700 4.700 3.300 8 6.600l3.300-3.300 1.400 1.400L9.400 8l3.300 3.300-1.400 1.400L8 9.400l-3.300 3.300-1.400-1.400L6.600 8z',
  check: 'M6.300 12.700 2 8.400 3.400 7l2.900 2.900L12.600 3.500 14 4.900z',
  bang: 'M7 2h2v8H7zm0 10h2v2H7z',
  clock:
    'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 2a5 5 0 1 0 0 10A5 5 0 0 0 8 3zm-1 2h2v2.600l2 1.300-1 1.600-3-2z',
  question:
    'M8 2a3.500 3.500 0 0 1 1 6.850V10.500H7V7.300l.8-.2A1.500 1.500 0 1 0 6.500 5.500h-2A3.500 3.500 0 0 1 8 2zM7 12h2v2H7z',
  info: 'M7 3h2v2H7zm0 3.500h2V13H7z',
  plus: 'M7 3h2v4h4v2H9v4H7V9H3V7h4z',
  minus: 'M3 7h10v2H3z',
  pause: 'M4 3h3v10H4zm5 0h3v10H9z',
  play: 'M4 2.500 13 8l-9 5.500z',
  copy: 'M2 2h8v2.500H4.500V10H2zm4 4h8v8H6zm1.800 1.800v4.400h4.400V7.800z',
  download: 'M7 2h2v5.600l2-2L12.400 7 8 11.400 3.600 7 5 5.600l2 2zM3 12h10v2H3z',
  search:
    'M6.500 2a4.500 4.500 0 0 1 3.600 7.200l3.700 3.700-1.400 1.400-3.700-3.700A4.500 4.500 0 1 1 6.500 2zm0 2a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z',
  sun: 'M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM7 1h2v2H7zm0 12h2v2H7zM1 7h2v2H1zm12 0h2v2h-2zM2.300 3.700l1.400-1.400 1.400 1.400-1.400 1.400zm8.600 8.600 1.400-1.400 1.400 1.400-1.400 1.400zm0-8.600 1.400-1.400 1.400 1.400-1.400 1.400zm-8.600 8.600 1.400-1.400 1.400 1.400-1.400 1.400z',
  moon: 'M6 2a6 6 0 1 0 8 8A6.500 6.500 0 0 1 6 2z',
  half: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 2v10A5 5 0 0 0 8 3z',
  close:
    'M3.300 4.700 4.700 3.300 8 6.600l3.300-3.300 1.400 1.400L9.400 8l3.300 3.300-1.400 1.400L8 9.400l-3.300 3.300-1.400-1.400L6.600 8z',
  right: 'M5.300 3.700 6.700 2.300 12.400 8l-5.700 5.700-1.400-1.400L9.600 8z',
} as const;

/** A 16 px glyph in the colour of its text; always beside a word, so hidden from screen readers. */
export function Icon(props: { name: keyof typeof PATHS }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[props.name]} fillRule="evenodd" />
    </svg>
  );
}

/** The names of the glyphs. */
export type IconName = keyof typeof PATHS;
