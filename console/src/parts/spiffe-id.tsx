import { Fragment, type ReactNode } from 'react';
import { NO_IDENTITY } from '../words/names.ts';

/** A SPIFFE ID in full, breakable after its slashes. */
export function SpiffeIdText(props: { id: string | null | undefined }): ReactNode {
  if (props.id === null || props.id === undefined || props.id === '') {
    return <span className="quiet">{NO_IDENTITY}</span>;
  }
  return (
    <code className="spiffe">
      <Breakable text={props.id} />
    </code>
  );
}

/** Text that may break after a slash or a colon, and otherwise only where it must. */
export function Breakable(props: { text: string }): ReactNode {
  return props.text.split(/(?<=[^/:][/:])(?=[^/])/).map((part, index) => (
    <Fragment key={index}>
      {index > 0 && <wbr />}
      {part}
    </Fragment>
  ));
}
