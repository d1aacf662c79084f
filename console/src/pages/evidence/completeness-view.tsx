import { type ReactNode, useMemo } from 'react';
import type { Completeness, RecordGap } from '../../api/completeness.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { TimeRangePicker } from '../../parts/time-range-picker.tsx';
import { rangeQuery, type TimeRange } from '../../route/time-range.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { formatCount, formatNoun, formatShare } from '../../words/format.ts';
import { COMPLETE_SHARE, type SourceSum, sumSources } from './evidence-state.ts';

const SPANS = ['1h', '6h', '24h', '7d'] as const;

const COLUMNS: readonly Column<SourceSum>[] = [
  {
    head: 'Source',
    value: (sum) => sum.source,
    cell: (sum) => (
      <span className="identity">
        <strong>{sum.service ?? sum.source}</strong>
        {sum.service !== null && <code className="quiet clip">{sum.source}</code>}
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'Accounted for',
    width: '8.5rem',
    value: (sum) => sum.ratio,
    cell: (sum) => <Ratio sum={sum} />,
  },
  count('Issued', (sum) => sum.issued),
  count('Arrived', (sum) => sum.arrived),
  count('Sampled', (sum) => sum.sampled),
  {
    head: 'Dropped there',
    width: '9rem',
    align: 'end',
    value: (sum) => droppedWords(sum.dropped),
    cell: (sum) => droppedWords(sum.dropped) || '0',
  },
  count('Missing', (sum) => sum.missing),
  {
    head: 'Gaps',
    width: '24%',
    value: (sum) => sum.gaps.map(gapWords).join('; '),
    cell: (sum) => <Gaps gaps={sum.gaps} />,
    stacked: 'wide',
  },
];

type CompletenessViewProps = {
  answer: Answer<Completeness>;
  range: TimeRange;
  sentence: string;
  tabs: ReactNode;
};

/** What each source issued, and what became of it. */
export function CompletenessView(props: CompletenessViewProps): ReactNode {
  const { answer, range } = props;
  const [query, setQuery] = useQuery();
  const search = query.get('q') ?? '';
  const rows = useMemo(
    () => matchSums(sumSources(answer.data?.sources ?? []), search),
    [answer.data, search],
  );
  const { since, until } = rangeQuery(range);
  return (
    <div className="page">
      <PageHead
        title="Evidence"
        sentence={props.sentence}
        command={commandLine(
          ['log'],
          [
            ['since', since],
            ['until', until],
          ],
        )}
        exported={{ name: 'palisade-completeness', columns: COLUMNS, rows }}
      />
      {props.tabs}
      <div className="toolbar">
        <SearchBox
          label="Search sources"
          placeholder="Service or node"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
        <TimeRangePicker range={range} defaultSpan="24h" spans={SPANS} onChange={setQuery} />
      </div>
      <p className="note">
        Each source numbers its records. What it issued either arrived, was left out by sampling
        (its weight stands in the sums), was dropped where it arose and counted, or is missing.
      </p>
      <AnswerNote answer={answer} rows={8} />
      {answer.data !== undefined && rows.length === 0 && (
        <Empty title={search === '' ? 'No source issued a record.' : 'No source fits.'}>
          A sidecar issues one for each request and connection.
        </Empty>
      )}
      {rows.length > 0 && (
        <DataTable
          label="Completeness by source"
          columns={COLUMNS}
          rows={rows}
          keyOf={(sum) => sum.source}
          toneOf={(sum) => ((sum.ratio ?? 1) < COMPLETE_SHARE ? 'failing' : undefined)}
          minWidth="64rem"
        />
      )}
    </div>
  );
}

function Ratio({ sum }: { sum: SourceSum }): ReactNode {
  if (sum.ratio === null) return <StateWord tone="unknown">nothing yet</StateWord>;
  const isWhole = sum.ratio >= COMPLETE_SHARE;
  return <StateWord tone={isWhole ? 'allowed' : 'failing'}>{formatShare(sum.ratio)}</StateWord>;
}

function Gaps({ gaps }: { gaps: readonly RecordGap[] }): ReactNode {
  const [first, ...others] = gaps;
  if (first === undefined) return <span className="quiet">none</span>;
  if (others.length === 0) return gapWords(first);
  return (
    <details>
      <summary>
        {gapWords(first)} <span className="quiet">and {others.length} more</span>
      </summary>
      {others.map((gap) => (
        <span key={gap.from_seq} className="line">
          {gapWords(gap)}
        </span>
      ))}
    </details>
  );
}

function gapWords(gap: RecordGap): string {
  const count = gap.until_seq - gap.from_seq + 1;
  const place =
    count === 1 ? `record ${gap.from_seq}` : `records ${gap.from_seq} to ${gap.until_seq}`;
  return gap.why ? `${place}: ${gap.why}` : `${place}, ${formatNoun(count, 'record')}`;
}

function droppedWords(dropped: SourceSum['dropped']): string {
  return Object.entries(dropped)
    .map(([kind, dropCount]) => `${formatCount(dropCount)} ${kind}`)
    .join(', ');
}

function count(head: string, read: (sum: SourceSum) => number): Column<SourceSum> {
  return {
    head,
    width: '5.5rem',
    align: 'end',
    value: read,
    cell: (sum) => formatCount(read(sum)),
  };
}

function matchSums(sums: readonly SourceSum[], text: string): readonly SourceSum[] {
  const wanted = text.trim().toLowerCase();
  return sums.filter((sum) => `${sum.source} ${sum.service ?? ''}`.toLowerCase().includes(wanted));
}
