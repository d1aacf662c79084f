import { type ReactNode, useState } from 'react';
import { fetchJson } from '../../api/fetch-json.ts';
import type { Page } from '../../api/page.ts';
import type { Sink, SinkTest as SinkTestAnswer } from '../../api/sink.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { commandLine } from '../../words/command.ts';
import { formatCount, formatNoun, formatSpan } from '../../words/format.ts';
import { sinkState } from './evidence-state.ts';

const COLUMNS: readonly Column<Sink>[] = [
  {
    head: 'Sink',
    value: (sink) => sink.name,
    cell: (sink) => (
      <span className="identity">
        <strong>{sink.name}</strong>
        <span className="quiet">{kindWords(sink)}</span>
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'State',
    width: '7.5rem',
    value: (sink) => sinkState(sink).word,
    cell: (sink) => <StateWord tone={sinkState(sink).tone}>{sinkState(sink).word}</StateWord>,
  },
  {
    head: 'Behind',
    width: '8.5rem',
    align: 'end',
    value: (sink) => sink.lag_records,
    cell: lagWords,
  },
  count('Delivered', (sink) => sink.delivered),
  count('Dead letters', (sink) => sink.dead_lettered),
  count('Dropped', (sink) => sink.dropped),
  {
    head: 'Last delivered',
    width: '7rem',
    align: 'end',
    value: (sink) => sink.last_delivered_at,
    cell: (sink) => <Moment at={sink.last_delivered_at} />,
  },
  {
    head: 'Last error',
    width: '20%',
    value: (sink) => sink.last_error,
    cell: (sink) =>
      sink.last_error ? <Words text={sink.last_error} /> : <span className="quiet">none</span>,
    stacked: 'wide',
  },
  {
    head: 'Test',
    width: '9rem',
    value: () => undefined,
    cell: (sink) => <SinkTest name={sink.name} />,
    stacked: 'wide',
  },
];

type SinksViewProps = {
  answer: Answer<Page<Sink>>;
  sentence: string;
  tabs: ReactNode;
};

/** Where evidence is delivered to, and how far behind that is. */
export function SinksView({ answer, sentence, tabs }: SinksViewProps): ReactNode {
  const sinks = (answer.data?.items ?? []).toSorted(
    (a, b) => rank(b) - rank(a) || a.name.localeCompare(b.name),
  );
  return (
    <div className="page">
      <PageHead
        title="Evidence"
        sentence={sentence}
        command={commandLine(['sink', 'list'])}
        exported={{ name: 'palisade-sinks', columns: COLUMNS.slice(0, -1), rows: sinks }}
      />
      {tabs}
      <AnswerNote answer={answer} rows={4} />
      {answer.data !== undefined && sinks.length === 0 && (
        <Empty title="No sink is set up.">
          Records, audit events and alerts stay in the control plane’s store. A Sink resource sends
          them on, to OTLP, syslog, a webhook or a file.
        </Empty>
      )}
      {sinks.length > 0 && (
        <DataTable
          label="Sinks"
          columns={COLUMNS}
          rows={sinks}
          keyOf={(sink) => sink.name}
          toneOf={(sink) => (sink.state === 'ok' ? undefined : sinkState(sink).tone)}
          minWidth="76rem"
        />
      )}
    </div>
  );
}

type TestState =
  | { readonly kind: 'idle' | 'sending' }
  | { readonly kind: 'answered'; readonly items: SinkTestAnswer['items'] }
  | { readonly kind: 'failed'; readonly why: string; readonly isReadOnly: boolean };

/** Sends one of each kind of evidence, marked as a test, and says what the sink answered. */
function SinkTest({ name }: { name: string }): ReactNode {
  const [state, setState] = useState<TestState>({ kind: 'idle' });
  const send = (): void => {
    setState({ kind: 'sending' });
    void fetchJson<SinkTestAnswer>(`/sinks/${encodeURIComponent(name)}/test`, {}).then((result) => {
      if (result.kind === 'answer') {
        return setState({ kind: 'answered', items: result.data.items });
      }
      const { code, sentence } = result.failure;
      setState({ kind: 'failed', why: sentence, isReadOnly: code === 'read_only' });
    });
  };
  return (
    <span className="sink-test">
      <button
        type="button"
        className="button"
        disabled={state.kind === 'sending'}
        onClick={send}
        title={`Send one of each kind of evidence to ${name}, marked as a test`}
      >
        {state.kind === 'sending' ? 'sending' : 'Test'}
        <span className="visually-hidden"> {name}</span>
      </button>
      <span role="status" className="sink-answers">
        {state.kind === 'answered' &&
          state.items.map(({ evidence, delivered, answer }) => (
            <StateWord key={evidence} tone={delivered ? 'allowed' : 'denied'}>
              {evidence}: {answer}
            </StateWord>
          ))}
        {state.kind === 'failed' && !state.isReadOnly && (
          <StateWord tone="denied">{state.why}</StateWord>
        )}
      </span>
      {state.kind === 'failed' && state.isReadOnly && (
        <CopyCommand command={commandLine(['sink', 'test', name])} />
      )}
    </span>
  );
}

/** The names of the kinds as people say them, e.g. `ocsf by webhook`. */
function kindWords({ kind, format }: Sink): string {
  const ways: Readonly<Record<string, string>> = {
    otlp_http: 'OTLP over HTTP',
    otlp_grpc: 'OTLP over gRPC',
    syslog: 'by syslog',
    file: 'to a file',
    webhook: 'by webhook',
  };
  const way = ways[kind] ?? kind;
  return way.startsWith('OTLP') ? way : `${format} ${way}`;
}

function lagWords(sink: Sink): ReactNode {
  const records = sink.lag_records;
  if (records === 0) return <span className="quiet">nothing</span>;
  return `${formatNoun(records, 'item')}, ${formatSpan(sink.lag_seconds * 1000)}`;
}

function rank(sink: Sink): number {
  return ['ok', 'paused', 'retrying', 'failing'].indexOf(sink.state);
}

function count(head: string, read: (sink: Sink) => number): Column<Sink> {
  return {
    head,
    width: '6.5rem',
    align: 'end',
    value: read,
    cell: (sink) => formatCount(read(sink)),
  };
}
