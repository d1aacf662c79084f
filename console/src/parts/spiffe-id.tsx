import type { ReactNode } from 'react';
import { NO_IDENTITY } from '../words/names.ts';

/** A SPIFFE ID in full, breakable at its slashes. */
export function SpiffeIdText(props: { id: string | null | undefined }): ReactNode {
  if (props.id === null || props.id === undefined || props.id === '') {
    return <span className="quiet">{NO_IDENTITY}</span>;
  }
  return <code className="spiffe">{props.id}</code>;
}
