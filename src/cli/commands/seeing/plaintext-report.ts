import { type painter, printable } from '../../output.ts';

/** What `GET /plaintext` answers. */
export type PlaintextReport = { readonly since: string; readonly ports: readonly PlaintextPort[] };

/** A port that takes plaintext, and who sent it. */
export type PlaintextPort = {
  readonly service: string;
  readonly port: number;
  readonly mode: 'PERMISSIVE' | 'DISABLE';
  readonly setBy: string | null;
  readonly calls: number;
  readonly couldBeStrict: boolean;
  readonly callers: readonly {
    readonly sourceIp: string | null;
    readonly verdict: 'allow' | 'deny';
    readonly count: number;
    readonly last: string;
  }[];
};

const MOST_CALLERS = 10;

/** The report for people: what still comes without mutual TLS, and what could ask for it now. */
export function plaintextText(
  { ports }: PlaintextReport,
  options: { readonly since: string; readonly paint: ReturnType<typeof painter> },
): string {
  const { since, paint } = options;
  if (ports.length === 0) return paint('green', 'every port of every service asks for mutual TLS');
  const ready = ports.filter(({ couldBeStrict }) => couldBeStrict);
  const lines = ports.map((port) => portText(port, since, paint));
  const names = [...new Set(ready.map(({ service }) => service))];
  const summary =
    names.length === 0
      ? 'none of them could turn STRICT today'
      : `could turn STRICT today: ${names.map(printable).join(', ')}`;
  return [...lines, '', paint('bold', summary)].join('\n');
}

function portText(port: PlaintextPort, since: string, paint: ReturnType<typeof painter>): string {
  const { service, mode, setBy, calls, callers } = port;
  const by = setBy === null ? '' : ` (${printable(setBy)})`;
  const head = `${paint('bold', printable(service))} port ${port.port} is ${mode}${by}`;
  if (calls === 0) return `${head}: ${paint('green', `no plaintext in the last ${since}`)}`;
  const shown = callers.slice(0, MOST_CALLERS).map(({ sourceIp, verdict, count }) => {
    const denied = verdict === 'deny' ? ', denied' : '';
    return `  ${count} × ${printable(sourceIp ?? 'an unknown address')}${denied}`;
  });
  const more = callers.length - MOST_CALLERS;
  const calledBy = paint('yellow', `${calls} plaintext ${calls === 1 ? 'call' : 'calls'}`);
  return [
    `${head}: ${calledBy} in the last ${since}`,
    ...shown,
    ...(more > 0 ? [`  and ${more} more callers`] : []),
  ].join('\n');
}
