import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { ReconsideredCall } from '../../api/denial.ts';
import { useAnswer } from '../../live/use-live.ts';
import { CallNames } from '../../parts/call-names.tsx';
import { Considered } from '../../parts/considered.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Facts } from '../../parts/facts.tsx';
import { Link } from '../../parts/link.tsx';
import { SidePanel } from '../../parts/side-panel.tsx';
import { SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { commandLine } from '../../words/command.ts';
import { formatBytes, formatInstant, formatMicros } from '../../words/format.ts';
import { decisionSentence, reasonSentence } from '../../words/reason.ts';
import { calleeOf, callerOf, Outcome } from './record-columns.tsx';
import { StageBar } from './stage-bar.tsx';

type CallPanelProps = { record: ListedRecord; onClose: () => void };

/** One call, step by step: captured → TLS → identity → decision → upstream. */
export function CallPanel({ record, onClose }: CallPanelProps): ReactNode {
  const from = callerOf(record);
  const to = calleeOf(record);
  const isDenied = record.verdict === 'deny';
  return (
    <SidePanel
      label={`Call from ${from} to ${to}`}
      title={<CallNames from={from} to={to} />}
      onClose={onClose}
    >
      <p className="panel-state">
        <Outcome record={record} />
      </p>
      <StageBar record={record} />
      <ol className="steps">
        <Step title="Captured" lines={captured(record)} />
        <Step title="TLS" lines={tlsLines(record)} />
        <Step title="Identity" lines={identityLines(record)} />
        <Step title="Decision" tone={isDenied ? 'denied' : 'allowed'} lines={decision(record)} />
        {record.tunnel_wait_us !== undefined && record.tunnel_wait_us !== null && (
          <Step title="Tunnel" lines={[['Waited', formatMicros(record.tunnel_wait_us)]]} />
        )}
        <Step title="Upstream" lines={upstream(record)} />
      </ol>
      {record.denial_id !== null && record.denial_id !== '' && (
        <>
          <p className="panel-links">
            <Link to={`/denials/${encodeURIComponent(record.denial_id)}`}>
              Every policy considered, and what would allow it
            </Link>
          </p>
          <CopyCommand command={commandLine(['explain', record.denial_id])} />
        </>
      )}
      {/* Last, because it arrives last: nothing below it is pushed down. */}
      <JudgedAgain record={record} />
    </SidePanel>
  );
}

/** Every policy that applied to the call, judged as policy was then, and what has become of it since. */
function JudgedAgain({ record }: { record: ListedRecord }): ReactNode {
  const id = record['record.id'];
  const { data, failure } = useAnswer<ReconsideredCall>(
    hasService(record) ? `/records/${encodeURIComponent(id)}/explanation` : undefined,
    { topics: ['policy'] },
  );
  if (data === undefined) {
    if (failure === undefined) return null;
    return <p className="quiet">What policy says of it is not known: {failure.sentence}.</p>;
  }
  const { decision } = data.explanation;
  return (
    <section aria-labelledby="judged-again">
      <h3 id="judged-again">Every policy considered</h3>
      <p>
        {decision.verdict === 'allow' ? 'Allowed' : 'Denied'} {versionWords(data)}:{' '}
        {reasonSentence(decision.reason)}.
        {data.changedSince &&
          ` Policy has changed since, and it would be ${data.now.decision.verdict === 'allow' ? 'allowed' : 'denied'} now.`}
      </p>
      <Considered explanation={data.explanation} />
    </section>
  );
}

function hasService(record: ListedRecord): boolean {
  return Boolean(record['destination.service']);
}

/** By which policy a call was judged again. */
function versionWords({ evaluatedAt, exact }: ReconsideredCall): string {
  const versions = Object.entries(evaluatedAt).map(([name, number]) => `${name}@${number}`);
  if (versions.length === 0) return 'as policy is now';
  return exact ? `by ${versions.join(', ')}` : 'as policy is now, the version of then is not kept';
}

function TraceLink({ id }: { id: string | null }): ReactNode {
  if (id === null || id === '') return null;
  return (
    <Link to={`/traffic/traces/${encodeURIComponent(id)}`}>
      <code>{id}</code>
    </Link>
  );
}

/** Why the record is there at all, and how many calls it stands for. */
function keptWords({ kept, weight = 1 }: ListedRecord): string | undefined {
  if (kept === undefined || kept === null) return undefined;
  return weight > 1
    ? `${kept.replaceAll('_', ' ')}, stands for ${weight} calls`
    : kept.replaceAll('_', ' ');
}

function micros(value: number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : formatMicros(value);
}

type Lines = readonly (readonly [string, ReactNode])[];

function Step(props: { title: string; lines: Lines; tone?: 'allowed' | 'denied' }): ReactNode {
  return (
    <li data-tone={props.tone}>
      <h3>{props.title}</h3>
      <Facts lines={props.lines} />
    </li>
  );
}

function captured(record: ListedRecord): Lines {
  const request = [record.method, record.path].filter(Boolean).join(' ');
  return [
    ['At', formatInstant(record.time)],
    ['Request', <code key="request">{request || `TCP connection`}</code>],
    ['Host', record.host],
    ['Port', record['destination.port']],
    ['By', `${record.node} (${record.reporter === 'source' ? 'caller’s side' : 'service’s side'})`],
    ['Trace', <TraceLink key="trace" id={record.trace_id} />],
    ['Kept', keptWords(record)],
    ['Redacted', record.redacted?.join(', ')],
    ['Key of its hashes', record.redaction_key],
  ];
}

function tlsLines(record: ListedRecord): Lines {
  if (record['tls.version'] === null || record['tls.version'] === '') {
    return [['Transport', 'plaintext']];
  }
  return [
    ['Version', record['tls.version']],
    ['Group', record['tls.group']],
    ['Cipher', record['tls.cipher']],
    ['Server name', record['connection.sni']],
  ];
}

function identityLines(record: ListedRecord): Lines {
  return [
    ['Caller', <SpiffeIdText key="caller" id={record['source.id']} />],
    ['Address', record['source.ip']],
    ['Certificate', record.peer_serial && <code key="serial">{record.peer_serial}</code>],
    ['Service', <SpiffeIdText key="service" id={record['destination.id']} />],
  ];
}

function decision(record: ListedRecord): Lines {
  const dryRun = record.dry_run?.filter((entry) => entry.verdict !== record.verdict) ?? [];
  return [
    ['Because', record.reporter === 'source' ? farSide(record) : decisionSentence(record)],
    ['Policy', record.policy],
    ['Rule', record.rule],
    ['Version', record.policy_version],
    ['Took', micros(record.decision_us)],
    ['In dry-run', dryRun.map((entry) => `${entry.policy} would ${entry.verdict}`).join(', ')],
  ];
}

/** The caller's side forwards; the service's side decides. */
function farSide(record: ListedRecord): string {
  return record.reason === null || record.denial_id !== null
    ? 'the service’s side decides'
    : decisionSentence(record);
}

function upstream(record: ListedRecord): Lines {
  if (record.verdict === 'deny') return [['Forwarded', 'nothing']];
  return [
    ['Status', record.status],
    ...(record.grpc_status === undefined ? [] : ([['gRPC status', record.grpc_status]] as const)),
    ['First byte', micros(record.upstream_us)],
    ['Took', micros(record.duration_us)],
    ['Bytes', `${formatBytes(record.bytes_in ?? 0)} in, ${formatBytes(record.bytes_out ?? 0)} out`],
  ];
}
