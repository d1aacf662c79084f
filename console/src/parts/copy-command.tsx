import { type ReactNode, useEffect, useState } from 'react';
import { Icon } from './icon.tsx';

/** A command line of the CLI, and a button that copies it. */
export function CopyCommand(props: { command: string }): ReactNode {
  const [state, setState] = useState<'idle' | 'copied' | 'refused'>('idle');
  useEffect(() => {
    if (state === 'idle') return undefined;
    const timer = setTimeout(() => setState('idle'), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = (): void => {
    // Without HTTPS anywhere but on loopback there is no clipboard; then the text can be selected.
    Promise.resolve(navigator.clipboard?.writeText(props.command) ?? Promise.reject(new Error()))
      .then(() => setState('copied'))
      .catch(() => setState('refused'));
  };
  return (
    <span className="command">
      <code title={props.command}>{props.command}</code>
      <button
        type="button"
        className="tool-button"
        onClick={copy}
        aria-label={`Copy the command ${props.command}`}
        title="Copy the command"
      >
        <Icon name={state === 'copied' ? 'check' : state === 'refused' ? 'bang' : 'copy'} />
      </button>
      <span role="status" className="visually-hidden">
        {state === 'copied' ? 'copied' : state === 'refused' ? 'select the text to copy it' : ''}
      </span>
    </span>
  );
}
