import type { ReactNode } from 'react';

const STATES = [
  ['allowed', 'encrypted, allowed'],
  ['plaintext', 'plaintext'],
  ['denied', 'denied'],
  ['failing', 'failing'],
] as const;

/** How the states of edges are drawn; sums of an earlier time do not say what was encrypted. */
export function MapLegend({ claimsEncryption }: { claimsEncryption: boolean }): ReactNode {
  const states = claimsEncryption
    ? STATES
    : STATES.flatMap(([tone, words]) =>
        tone === 'plaintext' ? [] : [[tone, tone === 'allowed' ? tone : words] as const],
      );
  return (
    <ul className="legend" aria-label="How edges are drawn">
      {states.map(([tone, words]) => (
        <li key={tone} data-tone={tone}>
          <svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">
            <path className="map-line" data-tone={tone} d="M1 4H27" strokeWidth="2.500" />
          </svg>
          {words}
        </li>
      ))}
    </ul>
  );
}
