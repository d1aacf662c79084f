import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import { CallNames } from '../../parts/call-names.tsx';
import type { Column } from '../../parts/data-table.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import {
  formatBytes,
  formatClock,
  formatInstant,
  formatMicros,
  formatZone,
} from '../../words/format.ts';
import { nameBeside, shortName } from '../../words/names.ts';
import { decisionSentence } from '../../words/reason.ts';

/** The columns of calls, on screen and in files. */
export const recordColumns: readonly Column<ListedRecord>[] = [
  {
    head: 'Time',
    aside: formatZone(Date.now()),
    width: '8rem',
    value: (record) => record.time,
    cell: (record) => (
      <time dateTime={record.time} title={formatInstant(record.time)}>
        {formatClock(record.time)}
      </time>
    ),
  },
  {
    head: 'Call',
    width: '15rem',
    value: (record) => `${callerOf(record)} → ${calleeOf(record)}`,
    cell: (record) => (
      <CallNames
        from={callerOf(record)}
        to={calleeOf(record)}
        title={record['source.id'] ?? 'no identity'}
      />
    ),
    stacked: 'title',
  },
  {
    head: 'Request',
    value: requestOf,
    cell: (record) => (
      <span className="mono clip" title={requestOf(record)}>
        {requestOf(record)}
      </span>
    ),
  },
  {
    head: 'Outcome',
    width: '9.5rem',
    value: (record) => outcomeOf(record).word,
    cell: (record) => <Outcome record={record} />,
  },
  {
    head: 'Rule',
    lesser: true,
    width: '10rem',
    value: ruleOf,
    cell: (record) => (
      <span className="clip" title={decisionSentence(record)}>
        {ruleOf(record) || <span className="quiet">none</span>}
      </span>
    ),
    stacked: 'omit',
  },
  {
    head: 'Duration',
    width: '5.5rem',
    align: 'end',
    value: (record) => record.duration_us,
    cell: (record) => (record.duration_us === null ? '–' : formatMicros(record.duration_us)),
  },
  {
    head: 'Bytes out',
    lesser: true,
    width: '5.5rem',
    align: 'end',
    value: (record) => record.bytes_out,
    cell: (record) => (record.bytes_out === null ? '–' : formatBytes(record.bytes_out)),
    stacked: 'omit',
  },
];

/** How a call ended, with its status where it has one. */
export function Outcome(props: { record: ListedRecord }): ReactNode {
  const { tone, word } = outcomeOf(props.record);
  return <StateWord tone={tone}>{word}</StateWord>;
}

/** The caller by name. */
export function callerOf(record: ListedRecord): string {
  return shortName(record['source.id'], record['source.service']);
}

/** The called service by name, with its namespace where the caller is of another. */
export function calleeOf(record: ListedRecord): string {
  const name = shortName(record['destination.id'], record['destination.service']);
  return nameBeside(name, record['destination.namespace'], record['source.id']);
}

function requestOf(record: ListedRecord): string {
  if (record.kind === 'tcp') return `connection, port ${record['destination.port'] ?? 'unknown'}`;
  return [record.method, record.path].filter(Boolean).join(' ');
}

function ruleOf(record: ListedRecord): string {
  if (record.policy === null || record.policy === '') return '';
  const name = record.policy.split('/').at(-1) ?? record.policy;
  return record.rule === null || record.rule === '' ? name : `${name}, rule ${record.rule}`;
}

/** How a call ended, in a word with its colour. */
export function outcomeOf(record: ListedRecord): { tone: Tone; word: string } {
  const status = record.status === null || record.status === 0 ? '' : ` ${record.status}`;
  if (record.verdict === 'deny') return { tone: 'denied', word: `denied${status}` };
  if ((record.status ?? 0) >= 500) return { tone: 'failing', word: `failed${status}` };
  return { tone: 'allowed', word: `allowed${status}` };
}
