import { type ReactNode, useEffect, useState } from 'react';
import { Icon } from './icon.tsx';

type CopyButtonProps = {
  text: string;
  /** What a click does, e.g. `Copy the command palisade status`. */
  label: string;
  /** Shown beside the glyph; without it the button is the glyph alone. */
  words?: string;
};

/** Copies a text, and says whether the browser let it. */
export function CopyButton({ text, label, words }: CopyButtonProps): ReactNode {
  const [state, setState] = useState<'idle' | 'copied' | 'refused'>('idle');
  useEffect(() => {
    if (state === 'idle') return undefined;
    const timer = setTimeout(() => setState('idle'), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = (): void => {
    // Without HTTPS anywhere but on loopback there is no clipboard; then the text can be selected.
    Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject(new Error()))
      .then(() => setState('copied'))
      .catch(() => setState('refused'));
  };
  return (
    <>
      <button
        type="button"
        className={words === undefined ? 'tool-button' : 'button'}
        onClick={copy}
        {...(words === undefined ? { 'aria-label': label } : {})}
        title={label}
      >
        <Icon name={state === 'copied' ? 'check' : state === 'refused' ? 'bang' : 'copy'} />
        {words}
      </button>
      <span role="status" className="visually-hidden">
        {state === 'copied' ? 'copied' : state === 'refused' ? 'select the text to copy it' : ''}
      </span>
    </>
  );
}
