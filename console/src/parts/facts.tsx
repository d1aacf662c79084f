import type { ReactNode } from 'react';

/** Named values, one a line; lines without a value are left out. */
export function Facts(props: { lines: readonly (readonly [string, ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {props.lines
        .filter(([, value]) => value !== undefined && value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
