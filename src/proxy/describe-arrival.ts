import type { InboundPort } from '#snapshot';
import type { Arrival } from './arrival.ts';
import type { ProxyContext } from './context.ts';
import { type CallFacts, describeConnection, ownParty } from './record.ts';

/** What records and metrics say of every call that arrives on one connection. */
export function describeArrival(
  arrival: Arrival,
  port: InboundPort | undefined,
  context: ProxyContext,
): CallFacts {
  const { caller, secure, ip, sni } = arrival;
  const { metrics, snapshots, identity } = context.options;
  const svid = caller.kind === 'verified' ? caller.svid : undefined;
  return describeConnection(metrics, {
    reporter: 'destination',
    protocol: port?.protocol ?? 'http',
    source: {
      id: svid?.id.text,
      service: svid?.id.serviceAccount,
      namespace: svid?.id.namespace,
    },
    sourceIp: ip,
    destination: ownParty(snapshots.current(), identity.current()),
    destinationPort: port?.port ?? 0,
    sni,
    tls: secure?.facts,
    peerSerial: svid?.serial,
  });
}
