import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Page } from '../../api/page.ts';
import type { MapEdge } from '../../api/service-map.ts';
import { type Answer, isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { Loading } from '../../parts/answer-states.tsx';
import { CallNames } from '../../parts/call-names.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Facts } from '../../parts/facts.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { SidePanel } from '../../parts/side-panel.tsx';
import { SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { apiPath, patchQuery } from '../../route/query.ts';
import { commandLine } from '../../words/command.ts';
import { formatBytes, formatCount, formatMicros, formatRate } from '../../words/format.ts';
import { decisionSentence } from '../../words/reason.ts';
import { EdgeStateWord } from './edge-table.tsx';

type EdgePanelProps = {
  edge: MapEdge;
  names: ReadonlyMap<string, string>;
  /** Of which stretch of time; undefined: the newest. */
  time: { readonly since: string; readonly until?: string } | undefined;
  onClose: () => void;
};

/** The stretch that the map of now is of. */
const LIVE_SPAN = '15m';

/** One edge: who it is, how it is protected, the rule that allows it, and its last denials. */
export function EdgePanel({ edge, names, time, onClose }: EdgePanelProps): ReactNode {
  const from = names.get(edge.source) ?? edge.source;
  const to = names.get(edge.destination) ?? edge.destination;
  // A folded edge stands for several pairs of services; records cannot be asked for by it.
  const isFolded = `${edge.source}${edge.destination}`.includes('fold:');
  const pair = { from: edge.sourceId ?? edge.source, to: edge.destination, ...time };
  const calls = useRecords(isFolded ? undefined : { ...pair, limit: '20' });
  const denials = useRecords(isFolded ? undefined : { ...pair, denied: 'true', limit: '5' });
  const isAnswered = isFolded || (isSettled(calls) && isSettled(denials));
  // The service's side decides; the caller's side only knows what came back.
  const records = (calls.data?.items ?? []).filter((record) => record.reporter !== 'source');
  const latest = records.find((record) => record.verdict === 'allow') ?? records[0];
  return (
    <SidePanel
      label={`${from} to ${to}`}
      title={<CallNames from={from} to={to} />}
      onClose={onClose}
    >
      <p className="panel-state">
        <EdgeStateWord edge={edge} />
      </p>
      {/* All at once: lines that come later would push the others down. */}
      {isAnswered ? <EdgeFacts edge={edge} latest={latest} /> : <Loading rows={8} />}
      {isAnswered && !isFolded && (
        <>
          <LastDenials denials={denials.data?.items ?? []} />
          <p className="panel-links">
            <Link to={`/traffic${patchQuery('', { since: LIVE_SPAN, ...pair })}`}>
              Calls on this edge
            </Link>
          </p>
          <CopyCommand command={checkCommand(edge, to, latest)} />
        </>
      )}
    </SidePanel>
  );
}

function EdgeFacts(props: { edge: MapEdge; latest: ListedRecord | undefined }): ReactNode {
  const { edge, latest } = props;
  return (
    <Facts
      lines={[
        ['Caller', <SpiffeIdText key="caller" id={edge.sourceId} />],
        ['Service', latest && <SpiffeIdText key="service" id={latest['destination.id']} />],
        ['Transport', transportOf(edge)],
        ['TLS', latest?.['tls.version']],
        ['Group', latest?.['tls.group']],
        ['Cipher', latest?.['tls.cipher']],
        ['Decided by', decidedBy(latest)],
        ['Rate', `${formatRate(edge.rate)}, ${formatRate(edge.deniedRate)} denied`],
        ['Calls', `${formatCount(edge.requests)}, ${formatCount(edge.errors)} errors`],
        ['Mean time', edge.meanMs === null ? undefined : formatMicros(edge.meanMs * 1000)],
        ['Bytes', `${formatBytes(edge.bytesIn)} in, ${formatBytes(edge.bytesOut)} out`],
        ['Last call', <Moment key="last" at={edge.lastSeen} />],
      ]}
    />
  );
}

function transportOf({ mtls, protocol }: MapEdge): string {
  if (mtls === null) return 'not kept with sums; the calls below say it';
  return mtls ? `${protocol} in mutual TLS` : `plaintext ${protocol}`;
}

function LastDenials(props: { denials: readonly ListedRecord[] }): ReactNode {
  if (props.denials.length === 0) return null;
  return (
    <>
      <h3>Last denials</h3>
      <ul className="lines">
        {props.denials.map((record) => (
          <li key={record['record.id']}>
            <Moment at={record.time} />
            <Link to={`/denials/${encodeURIComponent(record.denial_id ?? '')}`}>
              {[record.method, record.path].filter(Boolean).join(' ') || 'connection'}
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}

function useRecords(
  query: Readonly<Record<string, string>> | undefined,
): Answer<Page<ListedRecord>> {
  const path = query === undefined ? undefined : apiPath('/records', query);
  return useAnswer<Page<ListedRecord>>(path, { topics: ['map'] });
}

function checkCommand(edge: MapEdge, to: string, latest: ListedRecord | undefined): string {
  return commandLine(
    ['check'],
    [
      ['from', edge.sourceId ?? undefined],
      ['to', to],
      ['namespace', edge.namespace],
      ['method', latest?.method ?? undefined],
      ['path', latest?.path ?? undefined],
    ],
  );
}

function decidedBy(record: ListedRecord | undefined): ReactNode {
  if (record === undefined) return undefined;
  if (record.policy === null || record.policy === '') return decisionSentence(record);
  const rule = record.rule === null ? '' : `, rule ${record.rule}`;
  const [namespace = '', name = ''] = record.policy.split('/');
  const to = patchQuery('', { ns: namespace, resource: `AuthorizationPolicy/${name}` });
  return (
    <Link to={`/policies${to}`}>
      {record.policy}
      {rule}
    </Link>
  );
}
