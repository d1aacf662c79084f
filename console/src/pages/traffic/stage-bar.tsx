import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import { formatMicros } from '../../words/format.ts';

const STAGES = [
  ['decision', 'decision_us'],
  ['tunnel wait', 'tunnel_wait_us'],
  ['upstream', 'upstream_us'],
] as const;

/** Where the time of a call went; nothing where the record does not say. */
export function StageBar({ record }: { record: ListedRecord }): ReactNode {
  const total = record.duration_us ?? 0;
  const known = STAGES.flatMap(([kind, key]) => {
    const us = record[key];
    return us === undefined || us === null ? [] : [{ kind, us }];
  });
  if (known.length === 0 || total <= 0) return null;
  const rest = Math.max(0, total - known.reduce((sum, { us }) => sum + us, 0));
  const parts = [...known, { kind: 'transfer and the rest', us: rest }];
  const length = parts.reduce((sum, { us }) => sum + us, 0);
  let at = 0;
  return (
    <section aria-labelledby="stages">
      <h3 id="stages">Where the time went</h3>
      <svg className="stages" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
        {parts.map(({ kind, us }) => {
          const x = at;
          at += (us / length) * 1000;
          return (
            <rect key={kind} data-kind={kind} x={x} width={(us / length) * 1000} height="10" />
          );
        })}
      </svg>
      <ul className="stage-words">
        {parts.map(({ kind, us }) => (
          <li key={kind} data-kind={kind}>
            <span>{kind}</span>
            <span className="number">{formatMicros(us)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
