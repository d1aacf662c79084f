import type { ReactNode } from 'react';
import { useNow } from '../live/use-now.ts';
import { formatAgo, formatInstant, toMs } from '../words/format.ts';

/** An instant relative to now, with the absolute one on hover. */
export function Moment(props: { at: string | null | undefined }): ReactNode {
  const nowMs = useNow();
  const ms = toMs(props.at);
  if (ms === undefined) return <span className="quiet">never</span>;
  return (
    <time className="moment" dateTime={new Date(ms).toISOString()} title={formatInstant(ms)}>
      {formatAgo(ms, nowMs)}
    </time>
  );
}
