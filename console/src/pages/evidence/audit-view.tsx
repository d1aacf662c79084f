import { type ReactNode, useCallback, useEffect, useState } from 'react';
import type { AuditEvent, AuditPage } from '../../api/audit-event.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { type PagedAnswer, usePages } from '../../live/use-pages.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Choice, ChoiceField } from '../../parts/choice-field.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { TextField } from '../../parts/text-field.tsx';
import { TimeRangePicker } from '../../parts/time-range-picker.tsx';
import type { TimeRange } from '../../route/time-range.ts';
import { useQuery } from '../../route/use-place.ts';
import { formatInstant, formatZone } from '../../words/format.ts';
import { shortName } from '../../words/names.ts';
import {
  type AuditFilter,
  auditCommand,
  auditEntryPath,
  auditPath,
  parseAuditFilter,
} from './audit-filter.ts';
import { AuditPanel, targetOf } from './audit-panel.tsx';

const SPANS = ['1h', '24h', '7d', '30d'] as const;
const DEFAULT_SPAN = '24h';
/** A question to the store for each pause in typing, not for each key. */
const TYPING_MS = 250;

const COLUMNS: readonly Column<AuditEvent>[] = [
  {
    head: 'Time',
    aside: formatZone(Date.now()),
    width: '9.25rem',
    value: (event) => event.time,
    cell: (event) => (
      <time dateTime={event.time} title={formatInstant(event.time)}>
        {formatInstant(event.time).slice(5, 19)}
      </time>
    ),
  },
  {
    head: 'Action',
    width: '11rem',
    value: (event) => event.action,
    cell: (event) => <code>{event.action}</code>,
    stacked: 'title',
  },
  {
    head: 'Who',
    width: '11rem',
    value: (event) => event['actor.id'],
    cell: (event) => (
      <span className="clip" title={event['actor.id'] ?? undefined}>
        {actorOf(event)}
      </span>
    ),
  },
  {
    head: 'What',
    value: targetOf,
    cell: (event) => (
      <span className="clip" title={targetOf(event)}>
        {targetOf(event)}
      </span>
    ),
    stacked: 'wide',
  },
  {
    head: 'Result',
    width: '7rem',
    value: (event) => event.result,
    cell: (event) => (
      <StateWord tone={event.result === 'ok' ? 'allowed' : 'denied'}>
        {event.result === 'ok' ? 'done' : 'refused'}
      </StateWord>
    ),
  },
  {
    head: 'Ago',
    lesser: true,
    width: '6rem',
    align: 'end',
    value: (event) => event.time,
    cell: (event) => <Moment at={event.time} />,
    stacked: 'omit',
  },
  {
    head: 'Entry',
    width: '5rem',
    align: 'end',
    value: (event) => event.index,
    cell: (event) => event.index,
  },
];

type AuditViewProps = {
  range: TimeRange;
  sentence: string;
  tabs: ReactNode;
  /** What is known of the logs, above their entries. */
  children: ReactNode;
};

/** The audit logs, entry by entry. */
export function AuditView({ range, sentence, tabs, children }: AuditViewProps): ReactNode {
  const [query, setQuery] = useQuery();
  const filter = parseAuditFilter(query);
  const path = useSettled(auditPath(filter, range));
  const events = usePages<AuditEvent>(path, keyOf, { topics: ['audit'] });
  return (
    <div className="page">
      <PageHead
        title="Evidence"
        sentence={sentence}
        command={auditCommand(filter, range)}
        exported={{
          name: `palisade-audit-${filter.log}`,
          columns: COLUMNS,
          rows: events.answer.data ?? [],
        }}
      />
      {tabs}
      {children}
      <AuditFilterBar filter={filter} range={range} onChange={setQuery} />
      <AnswerNote answer={events.answer} rows={8} />
      {events.answer.data !== undefined && <AuditList events={events} log={filter.log} />}
    </div>
  );
}

function AuditList(props: { events: PagedAnswer<AuditEvent>; log: AuditFilter['log'] }): ReactNode {
  const { answer, hasOlder, loadOlder } = props.events;
  const [query, setQuery] = useQuery();
  const rows = answer.data ?? [];
  const asked = query.get('event');
  const named = useNamedEvent(props.log, asked, rows);
  const selected = named.data;
  const open = useCallback((event: AuditEvent) => setQuery({ event: keyOf(event) }), [setQuery]);
  const close = useCallback(() => setQuery({ event: undefined }), [setQuery]);
  return (
    <div className="split" data-open={selected === undefined ? undefined : ''}>
      <div className="split-main">
        {asked !== null && selected === undefined && named.heardAt !== undefined && (
          <p className="quiet" role="status">
            There is no entry {asked} in this log, or it has expired.
          </p>
        )}
        {rows.length === 0 ? (
          <Empty title="No event fits.">
            A longer time or fewer conditions may show more. Expired segments are deleted; the chain
            across them still verifies.
          </Empty>
        ) : (
          <DataTable
            label="Audit events"
            columns={COLUMNS}
            rows={rows}
            keyOf={keyOf}
            selectedKey={query.get('event') ?? undefined}
            onOpen={open}
            onClose={close}
            toneOf={(event) => (event.result === 'ok' ? undefined : 'denied')}
            minWidth="52rem"
          />
        )}
        {hasOlder && (
          <button type="button" className="button" onClick={loadOlder}>
            Older events
          </button>
        )}
      </div>
      {selected !== undefined && <AuditPanel event={selected} log={props.log} onClose={close} />}
    </div>
  );
}

/** The entry that an address names. It outlives the newest ones: where it is none of `rows`, it is asked for by itself. */
function useNamedEvent(
  log: AuditFilter['log'],
  asked: string | null,
  rows: readonly AuditEvent[],
): Answer<AuditEvent> {
  const shown = rows.find((event) => keyOf(event) === asked);
  const named = useAnswer<AuditPage>(
    asked === null || shown !== undefined ? undefined : auditEntryPath(log, asked),
    { once: true },
  );
  return { ...named, data: shown ?? named.data?.items.find((event) => keyOf(event) === asked) };
}

function AuditFilterBar(props: {
  filter: AuditFilter;
  range: TimeRange;
  onChange: (patch: Readonly<Record<string, string | undefined>>) => void;
}): ReactNode {
  const { filter, range, onChange } = props;
  return (
    <form
      className="toolbar"
      role="search"
      aria-label="Filter audit events"
      onSubmit={(event) => event.preventDefault()}
    >
      <SearchBox
        label="Search in audit events"
        placeholder="Any text"
        value={filter.text}
        onChange={(q) => onChange({ q })}
      />
      <ChoiceField
        label="Log"
        value={filter.log}
        choices={LOGS}
        onChange={(log) => onChange({ log })}
      />
      <ChoiceField
        label="Result"
        value={filter.result}
        choices={RESULTS}
        onChange={(result) => onChange({ result })}
      />
      {(['action', 'actor', 'target'] as const).map((key) => (
        <TextField
          key={key}
          label={LABELS[key]}
          placeholder="any"
          value={filter[key]}
          onChange={(text) => onChange({ [key]: text })}
        />
      ))}
      <TimeRangePicker range={range} defaultSpan={DEFAULT_SPAN} spans={SPANS} onChange={onChange} />
    </form>
  );
}

const LOGS: readonly Choice[] = [
  ['control', 'control'],
  ['ca', 'authority'],
];
const RESULTS: readonly Choice[] = [
  ['', 'any'],
  ['ok', 'done'],
  ['refused', 'refused'],
];
const LABELS = { action: 'Action', actor: 'Who', target: 'What' } as const;

function keyOf(event: AuditEvent): string {
  return String(event.index);
}

function actorOf(event: AuditEvent): string {
  const id = event['actor.id'];
  return id ? shortName(id) : 'the process itself';
}

/** The value once it has not changed for a moment. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), TYPING_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
