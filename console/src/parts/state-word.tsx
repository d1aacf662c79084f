import type { ReactNode } from 'react';
import { Icon, type IconName } from './icon.tsx';

/** What colour, glyph and word stand for; never colour alone. */
export type Tone = 'allowed' | 'denied' | 'failing' | 'plaintext' | 'stale' | 'unknown';

const GLYPHS: Readonly<Record<Tone, IconName>> = {
  allowed: 'check',
  denied: 'cross',
  failing: 'bang',
  plaintext: 'unlock',
  stale: 'clock',
  unknown: 'question',
};

/** A state as glyph and word in the state's colour. */
export function StateWord(props: { tone: Tone; children: ReactNode; icon?: IconName }): ReactNode {
  return (
    <span className="state" data-tone={props.tone}>
      <Icon name={props.icon ?? GLYPHS[props.tone]} />
      <span>{props.children}</span>
    </span>
  );
}
