import { type ReactNode, useCallback, useMemo, useState } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { DataTable } from '../../parts/data-table.tsx';
import { Icon } from '../../parts/icon.tsx';
import { MissingNote } from '../../parts/missing-note.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { Words } from '../../parts/words.tsx';
import { useQuery } from '../../route/use-place.ts';
import {
  formatCount,
  formatInstant,
  formatNoun,
  formatPercent,
  formatSpanWord,
} from '../../words/format.ts';
import { CallPanel } from './call-panel.tsx';
import { recordColumns } from './record-columns.tsx';
import { matchRecords, oneSide } from './record-rows.ts';
import { parseTrafficFilter, type TrafficFilter, trafficCommand } from './traffic-filter.ts';
import { TrafficFilterBar } from './traffic-filter-bar.tsx';
import { useRecords } from './use-records.ts';

/** What happened? */
export function TrafficPage(): ReactNode {
  const [query, setQuery] = useQuery();
  const filterText = ['denied', 'from', 'to', 'since', 'until', 'where', 'sides', 'q']
    .map((key) => query.get(key))
    .join('\n');
  // `query` is reduced to the keys that filter: opening a row must not fetch anew.
  const filter = useMemo(() => parseTrafficFilter(query), [filterText]);
  const [pointed, setPointed] = useState(false);
  const [focused, setFocused] = useState(false);
  const selectedId = query.get('call') ?? undefined;
  const tail = useRecords(filter, pointed || focused || selectedId !== undefined);
  const rows = shownRecords(tail.answer.data ?? [], filter);
  const named = useNamedCall(selectedId, tail.answer.data && rows);
  const selected = named.data;
  const open = useCallback(
    (record: ListedRecord) => setQuery({ call: record['record.id'] }),
    [setQuery],
  );
  const close = useCallback(() => setQuery({ call: undefined }), [setQuery]);
  return (
    <div className="page">
      <PageHead
        title="Traffic"
        sentence={tail.answer.data && trafficSentence(rows, filter, tail.hasOlder)}
        answer={tail.answer}
        command={trafficCommand(filter)}
        exported={{ name: 'palisade-traffic', columns: recordColumns, rows }}
      />
      <TrafficFilterBar
        filter={filter}
        onChange={setQuery}
        waiting={shownRecords(tail.waiting, filter).length}
      />
      <AnswerNote answer={tail.answer} rows={12} />
      <NamedCallNote answer={named} />
      {tail.answer.data !== undefined && (
        <div className="split" data-open={selected === undefined ? undefined : ''}>
          <div
            className="split-main"
            onPointerEnter={() => setPointed(true)}
            onPointerLeave={() => setPointed(false)}
            onFocus={() => setFocused(true)}
            onBlur={() => setFocused(false)}
          >
            {rows.length === 0 ? (
              <Empty title="No call fits.">
                Nothing was recorded {timeWords(filter)} that this filter lets through. A wider span
                or fewer conditions may show more.
              </Empty>
            ) : (
              <DataTable
                label="Calls"
                columns={recordColumns}
                rows={rows}
                keyOf={(record) => record['record.id']}
                selectedKey={selectedId}
                onOpen={open}
                onClose={close}
                toneOf={(record) => (record.verdict === 'deny' ? 'denied' : undefined)}
                minWidth="54rem"
                lessens
                inPlace
              />
            )}
            <MissingNote missing={tail.missing} />
            {tail.hasOlder && (
              <button type="button" className="button" onClick={tail.loadOlder}>
                Older calls
              </button>
            )}
          </div>
          {selected !== undefined && (
            <CallPanel key={selected['record.id']} record={selected} onClose={close} />
          )}
        </div>
      )}
    </div>
  );
}

/** The call that an address names. It outlives the newest calls: where it is none of these, it is asked for by itself. */
function useNamedCall(
  id: string | undefined,
  rows: readonly ListedRecord[] | undefined,
): Answer<ListedRecord> {
  const shown = rows?.find((record) => record['record.id'] === id);
  const isAsked = id !== undefined && rows !== undefined && shown === undefined;
  const named = useAnswer<ListedRecord>(
    isAsked ? `/records/${encodeURIComponent(id)}` : undefined,
    { once: true },
  );
  return shown === undefined ? named : { ...named, data: shown, failure: undefined };
}

function NamedCallNote({ answer }: { answer: Answer<ListedRecord> }): ReactNode {
  if (answer.failure === undefined || answer.data !== undefined) return null;
  return (
    <div className="notice" data-tone="stale" role="status">
      <Icon name="info" />
      <p>
        The call that this address names cannot be shown: <Words text={answer.failure.sentence} />{' '}
        Records are kept for seven days unless <code>record-store.json</code> says otherwise.
      </p>
    </div>
  );
}

function shownRecords(
  records: readonly ListedRecord[],
  filter: TrafficFilter,
): readonly ListedRecord[] {
  return matchRecords(filter.bothSides ? records : oneSide(records), filter.text);
}

function trafficSentence(
  rows: readonly ListedRecord[],
  filter: TrafficFilter,
  hasOlder: boolean,
): string {
  const span = timeWords(filter);
  if (rows.length === 0) return `No call ${span} fits this filter.`;
  const denied = rows.filter((record) => record.verdict === 'deny').length;
  const failed = rows.filter(
    (record) => record.verdict === 'allow' && (record.status ?? 0) >= 500,
  ).length;
  const total = hasOlder
    ? `The newest ${formatNoun(rows.length, 'call')} ${span}`
    : `${formatNoun(rows.length, 'call')} ${span}`;
  const share = formatPercent(denied / rows.length);
  return `${total}: ${formatCount(denied)} denied (${share}), ${formatCount(failed)} failed.`;
}

function timeWords({ range }: TrafficFilter): string {
  if (range.kind === 'last') return `in the last ${formatSpanWord(range.span)}`;
  const [from, until] = [range.fromMs, range.untilMs].map((ms) => formatInstant(ms).slice(5, 19));
  return `from ${from} to ${until}`;
}
