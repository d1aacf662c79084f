import type { ReactNode } from 'react';

/** `web → orders`, as people say it. */
export function CallNames(props: { from: string; to: string; title?: string }): ReactNode {
  return (
    <span className="call-names" title={props.title}>
      <span>{props.from}</span>
      <span className="arrow" role="img" aria-label="to">
        →
      </span>
      <span>{props.to}</span>
    </span>
  );
}
