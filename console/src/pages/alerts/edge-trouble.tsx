import type { ReactNode } from 'react';
import type { Rollups } from '../../api/rollups.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { CallNames } from '../../parts/call-names.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { patchQuery } from '../../route/query.ts';
import { encodeTimeRange, type TimeRange } from '../../route/time-range.ts';
import { navigate } from '../../route/use-place.ts';
import { formatCount, formatPercent } from '../../words/format.ts';
import { plainName } from '../../words/names.ts';
import { type EdgeSum, troubledEdges } from '../../words/rollup.ts';

/** More than this is the map's to show. */
const MAX_EDGES = 10;

const COLUMNS: readonly Column<EdgeSum>[] = [
  {
    head: 'Edge',
    value: (edge) => `${edge.source} → ${edge.destination}`,
    cell: (edge) => (
      <CallNames from={plainName(edge.source, null)} to={plainName(edge.destination, null)} />
    ),
    stacked: 'title',
  },
  {
    head: 'Denied',
    width: '7rem',
    align: 'end',
    value: (edge) => edge.denied,
    cell: (edge) => formatCount(edge.denied),
  },
  {
    head: 'Errors',
    width: '7rem',
    align: 'end',
    value: (edge) => edge.errors,
    cell: (edge) => formatCount(edge.errors),
  },
  {
    head: 'Calls',
    width: '7rem',
    align: 'end',
    value: (edge) => edge.calls,
    cell: (edge) => formatCount(edge.calls),
  },
  {
    head: 'Share in trouble',
    width: '8rem',
    align: 'end',
    value: (edge) => (edge.denied + edge.errors) / Math.max(1, edge.calls),
    cell: (edge) => formatPercent((edge.denied + edge.errors) / Math.max(1, edge.calls)),
  },
];

/** Which edges had denials and errors; a row opens the calls behind it. */
export function EdgeTrouble(props: {
  answer: Answer<Rollups>;
  range: TimeRange;
  /** What chooses the time, which is that of the lists below too. */
  children: ReactNode;
}): ReactNode {
  const { answer, range } = props;
  const edges = answer.data === undefined ? [] : troubledEdges(answer.data);
  const open = (edge: EdgeSum): void =>
    navigate(
      `/traffic${patchQuery('', {
        from: edge.source,
        to: edge.destination,
        denied: edge.denied > 0 ? 'true' : undefined,
        ...encodeTimeRange(range, ''),
      })}`,
    );
  return (
    <section className="section" aria-labelledby="edge-trouble">
      <div className="section-head">
        <h2 id="edge-trouble">Denials and errors by edge</h2>
        {props.children}
      </div>
      <AnswerNote answer={answer} rows={4} />
      {answer.data !== undefined && edges.length === 0 && (
        <p className="quiet">No call was denied and none failed in this time.</p>
      )}
      {edges.length > 0 && (
        <DataTable
          label="Denials and errors by edge"
          columns={COLUMNS}
          rows={edges.slice(0, MAX_EDGES)}
          keyOf={(edge) => `${edge.source}>${edge.destination}`}
          onOpen={open}
          minWidth="40rem"
        />
      )}
      {edges.length > MAX_EDGES && (
        <p className="quiet">
          The worst {MAX_EDGES} of {edges.length} edges with denials or errors.
        </p>
      )}
    </section>
  );
}
