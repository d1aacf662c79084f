import { ApiError, type Session } from '#client';
import type { RevocationTarget } from '#trust';
import { EXIT, ExitError } from '../../exit.ts';
import { printable, table } from '../../output.ts';

/** `GET /revocations/preview`: what a revocation would hit. */
export type RevocationPreview = {
  readonly what: string;
  readonly revokedAlready: boolean;
  readonly certificates: number;
  readonly identities: readonly {
    readonly spiffeId: string;
    readonly serials: readonly string[];
    readonly heldBy: readonly string[];
    readonly outcome: 'ends' | 'renews';
  }[];
  readonly edges: readonly {
    readonly source: string;
    readonly destination: string;
    readonly side: 'caller' | 'server' | 'both';
    readonly partly: boolean;
    readonly calls: number;
    readonly connections: number;
  }[];
  readonly totals: {
    readonly identities: number;
    readonly edges: number;
    readonly calls: number;
    readonly connections: number;
  };
  readonly countedFrom: string;
  readonly points: number;
  readonly log: { readonly reachable: boolean; readonly reason: string };
};

/** Asks the control plane what a revocation would hit. Throws with exit 2 where it is too old to know. */
export async function fetchPreview(
  { api }: Session,
  target: RevocationTarget,
): Promise<RevocationPreview> {
  const query = new URLSearchParams({ kind: target.kind });
  if (target.kind === 'serial') query.set('serial', target.serial);
  else if (target.issuedBefore !== null) query.set('issuedBefore', target.issuedBefore);
  if (target.kind === 'identity' || target.kind === 'agent') query.set('id', target.id);
  try {
    return await api.call<RevocationPreview>('GET', `/revocations/preview?${query}`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new ExitError(EXIT.usage, 'the control plane is too old to tell what would be hit');
  }
}

/** The preview for people; the last line says that nothing was done. */
export function previewLines(preview: RevocationPreview): readonly string[] {
  return [
    `would revoke ${printable(preview.what)}${preview.revokedAlready ? ', which is revoked already' : ''}`,
    '',
    ...certificateLines(preview),
    '',
    ...trafficLines(preview),
    '',
    `nothing was revoked: ${noun(preview.points, 'connected enforcement point')} would be told`,
  ];
}

const NONE =
  'no valid certificate is hit: a name that was meant may be in `palisade identity list`';
const MOST_LINES = 20;
const THEN = { ends: 'gets none while this is revoked', renews: 'gets a new one at once' } as const;

function certificateLines({ certificates, identities, totals, log }: RevocationPreview) {
  const unread = log.reachable
    ? []
    : [`the issuance log cannot be read now (${printable(log.reason)}): there may be more`];
  if (certificates === 0) return [NONE, ...unread];
  const rows = identities
    .slice(0, MOST_LINES)
    .map(({ spiffeId, serials, heldBy, outcome }) => [
      printable(spiffeId),
      String(serials.length),
      printable(heldBy.join(', ')) || 'nobody connected',
      THEN[outcome],
    ]);
  return [
    `${noun(certificates, 'valid certificate')} of ${noun(totals.identities, 'identity', 'identities')}:`,
    ...table([['IDENTITY', 'CERTIFICATES', 'HELD BY', 'THEN'], ...rows]).split('\n'),
    ...more(totals.identities - rows.length),
    ...unread,
  ];
}

function trafficLines({ edges, totals, countedFrom }: RevocationPreview) {
  const basis = `since ${countedFrom}, as sidecars counted; what has been open and silent for longer is cut too and not seen here`;
  if (totals.edges === 0) return [`no traffic of the last 5 minutes is hit (${basis})`];
  const rows = edges
    .slice(0, MOST_LINES)
    .map(({ source, destination, calls, connections, side, partly }) => [
      printable(`${source} → ${destination}`),
      String(calls),
      String(connections),
      `${side}${partly ? ', some instances' : ''}`,
    ]);
  return [
    `traffic of the last 5 minutes that would be cut: ${noun(totals.calls, 'call')}, ${noun(totals.connections, 'TCP connection')} begun, on ${noun(totals.edges, 'edge')}`,
    ...table([['EDGE', 'CALLS', 'TCP BEGUN', 'LOSES ITS IDENTITY'], ...rows]).split('\n'),
    ...more(totals.edges - rows.length),
    basis,
  ];
}

function more(count: number): readonly string[] {
  return count > 0 ? [`… and ${count} more`] : [];
}

function noun(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
