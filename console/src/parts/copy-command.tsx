import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';

/** A command line of the CLI, and a button that copies it. */
export function CopyCommand(props: { command: string }): ReactNode {
  return (
    <span className="command">
      <code title={props.command}>{props.command}</code>
      <CopyButton text={props.command} label={`Copy the command ${props.command}`} />
    </span>
  );
}
