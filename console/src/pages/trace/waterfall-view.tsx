import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import { StateWord } from '../../parts/state-word.tsx';
import { formatMicros } from '../../words/format.ts';
import { outcomeOf } from '../traffic/record-columns.tsx';
import { lengthOf, type WaterfallRow } from './waterfall.ts';

type WaterfallViewProps = {
  rows: readonly WaterfallRow[];
  selectedId: string | undefined;
  onOpen: (record: ListedRecord) => void;
};

/** A trace as a table of bars on one axis: what it waited for shows as length, who called whom as indent. */
export function WaterfallView({ rows, selectedId, onOpen }: WaterfallViewProps): ReactNode {
  const length = lengthOf(rows);
  return (
    <div className="table-scroll">
      <table className="waterfall" aria-label="Timeline of the trace">
        <thead>
          <tr>
            <th scope="col">Where</th>
            <th scope="col">What</th>
            <th scope="col">
              <span className="waterfall-axis">
                <span>0</span>
                <span>{formatMicros(length / 2)}</span>
                <span>{formatMicros(length)}</span>
              </span>
            </th>
            <th scope="col" data-align="end">
              Took
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row
              key={`${row.id} ${row.kind}`}
              row={row}
              length={length}
              isSelected={row.record !== undefined && row.record['record.id'] === selectedId}
              onOpen={onOpen}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const STAGES: ReadonlySet<WaterfallRow['kind']> = new Set(['decision', 'tunnel wait', 'upstream']);

function Row(props: {
  row: WaterfallRow;
  length: number;
  isSelected: boolean;
  onOpen: (record: ListedRecord) => void;
}): ReactNode {
  const { row, length } = props;
  const isStage = STAGES.has(row.kind);
  const outcome = row.record === undefined || isStage ? undefined : outcomeOf(row.record);
  return (
    <tr data-kind={row.kind} data-selected={props.isSelected ? '' : undefined}>
      <th scope="row" style={{ paddingLeft: 8 + row.depth * 12 }}>
        {isStage ? <span className="quiet">{row.kind}</span> : row.service}
      </th>
      <td>
        <span className="waterfall-what">
          {!isStage && <What row={row} onOpen={props.onOpen} />}
          {outcome !== undefined && <StateWord tone={outcome.tone}>{outcome.word}</StateWord>}
          {row.record === undefined && <span className="quiet">its record was not kept</span>}
        </span>
      </td>
      <td>
        <svg
          className="waterfall-bar"
          viewBox="0 0 1000 10"
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          <rect
            data-kind={row.kind}
            data-tone={outcome?.tone}
            x={(row.startUs / length) * 1000}
            width={Math.max(3, (row.durationUs / length) * 1000)}
            height="10"
          />
        </svg>
      </td>
      <td data-align="end">{formatMicros(row.durationUs)}</td>
    </tr>
  );
}

function What({ row, onOpen }: { row: WaterfallRow; onOpen: (record: ListedRecord) => void }) {
  const { record } = row;
  if (record === undefined) return <span>{row.words} </span>;
  return (
    <button
      type="button"
      className="waterfall-open"
      title={row.words}
      onClick={() => onOpen(record)}
    >
      {row.words}
    </button>
  );
}
