import type { ReactNode } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Page } from '../../api/page.ts';
import type { MapEdge } from '../../api/service-map.ts';
import { useAnswer } from '../../live/use-live.ts';
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
import { reasonSentence } from '../../words/reason.ts';
import { EdgeStateWord } from './edge-table.tsx';

type EdgePanelProps = {
  edge: MapEdge;
  names: ReadonlyMap<string, string>;
  onClose: () => void;
};

/** One edge: who it is, how it is protected, the rule that allows it, and its last denials. */
export function EdgePanel({ edge, names, onClose }: EdgePanelProps): ReactNode {
  const from = names.get(edge.source) ?? edge.source;
  const to = names.get(edge.destination) ?? edge.destination;
  // A folded edge stands for several pairs of services; records cannot be asked for by it.
  const isFolded = `${edge.source}${edge.destination}`.includes('fold:');
  const pair = { from: edge.sourceId ?? edge.source, to: edge.destination };
  const calls = useRecords(isFolded ? undefined : { ...pair, limit: '20' });
  const denials = useRecords(isFolded ? undefined : { ...pair, denied: 'true', limit: '5' });
  const latest = calls?.find((record) => record.verdict === 'allow') ?? calls?.[0];
  return (
    <SidePanel
      label={`${from} to ${to}`}
      title={<CallNames from={from} to={to} />}
      onClose={onClose}
    >
      <p className="panel-state">
        <EdgeStateWord edge={edge} />
      </p>
      <Facts
        lines={[
          ['Caller', <SpiffeIdText key="caller" id={edge.sourceId} />],
          ['Service', <SpiffeIdText key="service" id={latest?.['destination.id']} />],
          ['Transport', transport(edge, latest)],
          ['Decided by', decidedBy(latest)],
          ['Rate', `${formatRate(edge.rate)}, ${formatRate(edge.deniedRate)} denied`],
          ['Calls', `${formatCount(edge.requests)}, ${formatCount(edge.errors)} errors`],
          ['Mean time', edge.meanMs === null ? undefined : formatMicros(edge.meanMs * 1000)],
          ['Bytes', `${formatBytes(edge.bytesIn)} in, ${formatBytes(edge.bytesOut)} out`],
          ['Last call', <Moment key="last" at={edge.lastSeen} />],
        ]}
      />
      {!isFolded && (
        <>
          <LastDenials denials={denials} />
          <p className="panel-links">
            <Link to={`/traffic${patchQuery('', { from, to: edge.destination })}`}>
              Calls on this edge
            </Link>
          </p>
          <CopyCommand
            command={commandLine(
              ['check'],
              [
                ['from', edge.sourceId ?? undefined],
                ['to', to],
                ['namespace', edge.namespace],
                ['method', latest?.method ?? undefined],
                ['path', latest?.path ?? undefined],
              ],
            )}
          />
        </>
      )}
    </SidePanel>
  );
}

function LastDenials(props: { denials: readonly ListedRecord[] | undefined }): ReactNode {
  if (props.denials === undefined || props.denials.length === 0) return null;
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
): readonly ListedRecord[] | undefined {
  const path = query === undefined ? undefined : apiPath('/records', query);
  return useAnswer<Page<ListedRecord>>(path, { topics: ['map'] }).data?.items;
}

function transport(edge: MapEdge, record: ListedRecord | undefined): string {
  if (!edge.mtls) return `plaintext ${edge.protocol}`;
  const tls = [record?.['tls.version'], record?.['tls.group'], record?.['tls.cipher']];
  return [`${edge.protocol} in mutual TLS`, ...tls.filter(Boolean)].join(' · ');
}

function decidedBy(record: ListedRecord | undefined): ReactNode {
  if (record === undefined) return undefined;
  if (record.policy === null || record.policy === '') return reasonSentence(record.reason);
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
