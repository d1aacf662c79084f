import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Page } from '../../api/page.ts';
import type { Trace } from '../../api/trace.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { DataTable } from '../../parts/data-table.tsx';
import { Link } from '../../parts/link.tsx';
import { MissingNote } from '../../parts/missing-note.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { apiPath, patchQuery } from '../../route/query.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { formatMicros, formatNoun } from '../../words/format.ts';
import { CallPanel } from '../traffic/call-panel.tsx';
import { calleeOf, callerOf, recordColumns } from '../traffic/record-columns.tsx';
import { aroundOf } from '../traffic/record-rows.ts';
import { lengthOf, waterfallOf } from './waterfall.ts';
import { WaterfallView } from './waterfall-view.tsx';

const AROUND_MS = 2000;

/** One request across services: where its time went, who decided what, and what happened beside it. */
export function TracePage({ id }: { id: string }): ReactNode {
  const answer = useAnswer<Trace>(`/traces/${encodeURIComponent(id)}`);
  const [query, setQuery] = useQuery();
  const trace = answer.data;
  const rows = trace === undefined ? [] : waterfallOf(trace);
  const selected = trace?.records.find((record) => record['record.id'] === query.get('call'));
  const open = (record: ListedRecord): void => setQuery({ call: record['record.id'] });
  const close = (): void => setQuery({ call: undefined });
  return (
    <div className="page">
      <p className="crumb">
        <Link to="/traffic">Calls</Link>
      </p>
      <PageHead
        title="Traffic"
        sentence={trace && traceSentence(trace, lengthOf(rows))}
        answer={answer}
        command={commandLine(['trace', id])}
        exported={{
          name: `palisade-trace-${id}`,
          columns: recordColumns,
          rows: trace?.records ?? [],
        }}
      />
      <AnswerNote answer={answer} rows={10} />
      {trace !== undefined && (
        <div className="split" data-open={selected === undefined ? undefined : ''}>
          <div className="split-main">
            {rows.length === 0 ? (
              <Empty title="No record of this trace is kept.">
                It may be older than what is kept, or none of its calls was kept by sampling.
              </Empty>
            ) : (
              <WaterfallView rows={rows} selectedId={selected?.['record.id']} onOpen={open} />
            )}
            <MissingNote missing={trace.missing} />
            <Around trace={trace} selected={selected} />
          </div>
          {selected !== undefined && (
            <CallPanel key={selected['record.id']} record={selected} onClose={close} />
          )}
        </div>
      )}
    </div>
  );
}

/** What else the same services did at the time: an error beside it is often its cause. */
function Around(props: { trace: Trace; selected: ListedRecord | undefined }): ReactNode {
  const { trace } = props;
  const times = trace.records.map((record) => Date.parse(record.time));
  const hasTime = times.length > 0;
  const since = new Date(hasTime ? Math.min(...times) - AROUND_MS : 0).toISOString();
  const until = new Date(hasTime ? Math.max(...times) + AROUND_MS : 0).toISOString();
  const answer = useAnswer<Page<ListedRecord>>(
    hasTime ? apiPath('/records', { since, until, limit: '200' }) : undefined,
  );
  if (!hasTime || answer.data === undefined) return null;
  const records = aroundOf(answer.data.items, trace.records);
  return (
    <section className="section" aria-labelledby="around">
      <h2 id="around">Around it</h2>
      <p className="quiet">
        Other calls from or to the same services, 2 seconds before until 2 seconds after.{' '}
        <Link to={`/traffic${patchQuery('', { since, until })}`}>All calls of this time</Link>
      </p>
      {records.length > 0 && (
        <DataTable
          label="Calls around it"
          columns={recordColumns}
          rows={records}
          keyOf={(record) => record['record.id']}
          toneOf={(record) => (record.verdict === 'deny' ? 'denied' : undefined)}
          minWidth="54rem"
        />
      )}
    </section>
  );
}

function traceSentence(trace: Trace, lengthUs: number): string {
  const [first] = trace.records.toSorted((a, b) => a.time.localeCompare(b.time));
  if (first === undefined) return 'Nothing of this trace is on the record.';
  const services = new Set(trace.records.map((record) => record['destination.service']));
  const request = [first.method, first.path].filter(Boolean).join(' ') || 'A connection';
  const start = `${request} by ${callerOf(first)} took ${formatMicros(lengthUs)} across ${formatNoun(services.size, 'service')}`;
  const denied = trace.records.find((record) => record.verdict === 'deny');
  if (denied !== undefined)
    return `${start}; ${calleeOf(denied)} denied it to ${callerOf(denied)}.`;
  const failed = trace.records.findLast((record) => (record.status ?? 0) >= 500);
  if (failed !== undefined) return `${start}; it failed at ${calleeOf(failed)}.`;
  return `${start}, allowed everywhere.`;
}
