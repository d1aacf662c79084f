// From `apply` to enforced and acknowledged on fifty proxies, all real processes on this one machine, as the control
// plane counts acknowledgements: signing, admission, storing, and verifying and compiling fifty times are in it.
import { setTimeout as delay } from 'node:timers/promises';
import { commitChanges, loadAuthor, openSession, type Session } from '#client';
import { parseStoredResource } from '#resource';
import { BIN, type Running, start, startTestMesh } from '../test/system/mesh.ts';
import { quantile } from './quantile.ts';

const PROXIES = 50;
const APPLIES = 100;
// A proxy that has just started is slower: its code is not compiled yet.
// Some ten seconds: processes that were just started, fifty on the same cores, compile what is hot meanwhile.
const WARM_UPS = 60;
const POLL_MS = 2;
const NAMESPACE = 'default';
const LIMIT_MS = 120_000;

type PolicySetSummary = {
  readonly namespace: string;
  readonly number: number;
  readonly enforcement: { readonly wanted: number; readonly enforced: number };
};

/** Prints the distribution and, last, `propagate <p99 in ms> ms`. */
export default async function run(): Promise<void> {
  const mesh = await startTestMesh();
  const proxies: Running[] = [];
  try {
    const session = openSession({ dataDir: mesh.dataDir });
    if (!session.ok) throw new Error(session.error);
    const registered = await apply(session.value, workloads());
    for (let index = 0; index < PROXIES; index += 1) proxies.push(startProxy(mesh.dataDir, index));
    await enforcedByAll(session.value, registered);
    const times: number[] = [];
    for (let round = 0; round < WARM_UPS + APPLIES; round += 1) {
      const begin = performance.now();
      const number = await apply(session.value, [policyOf(round % PROXIES, round)]);
      await enforcedByAll(session.value, number);
      if (round >= WARM_UPS) times.push(performance.now() - begin);
    }
    print(times);
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await mesh.close();
  }
}

function startProxy(dataDir: string, index: number): Running {
  const names = ['inbound', 'hbone', 'outbound', 'metrics'];
  const ports = names.flatMap((name) => [`--${name}-port`, '0']);
  const service = ['--service', nameOf(index), '--app-port', '9'];
  return start([process.execPath, BIN, 'proxy', '--data', dataDir, ...service, ...ports]);
}

async function apply(
  session: Session,
  resources: readonly { readonly key: string; readonly resource: unknown }[],
): Promise<number> {
  const author = loadAuthor(session.folder);
  if (!author.ok) throw new Error(author.error);
  const stored = await commitChanges({
    api: session.api,
    namespace: NAMESPACE,
    trustRoot: session.trustRoot,
    author: author.value,
    changes: () => resources,
  });
  if (!stored.ok || stored.value === undefined) throw new Error('nothing was applied');
  return stored.value.number;
}

async function enforcedByAll({ api }: Session, number: number): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const page = await api.call<{ items: readonly PolicySetSummary[] }>('GET', '/policy-sets');
    const set = page.items.find(({ namespace }) => namespace === NAMESPACE);
    // The agent and the CA hold the set too, so all that want it are more than the proxies.
    const { wanted = 0, enforced = -1 } = set?.enforcement ?? {};
    if (set?.number === number && wanted >= PROXIES && enforced === wanted) return;
    if (performance.now() > deadline)
      throw new Error(`commit ${number} is enforced by ${enforced} of ${wanted}, in two minutes`);
    await delay(POLL_MS);
  }
}

// What fifty services bring: a Service, a Registration and a policy each.
function workloads(): readonly { key: string; resource: unknown }[] {
  return Array.from({ length: PROXIES }, (_, index) => {
    const name = nameOf(index);
    return [
      resource('palisade.dev/v1', 'Service', {
        name,
        spec: { ports: [{ name: 'http', port: 80, protocol: 'http' }] },
      }),
      resource('palisade.dev/v1', 'Registration', {
        name,
        spec: {
          spiffeId: `spiffe://cluster.local/ns/${NAMESPACE}/sa/${name}`,
          selectors: [`unix:uid:${process.getuid?.() ?? 0}`],
        },
      }),
      policyOf(index, 0),
    ];
  }).flat();
}

function policyOf(index: number, round: number): { key: string; resource: unknown } {
  const name = nameOf(index);
  const caller = `cluster.local/ns/${NAMESPACE}/sa/${nameOf((index + 1) % PROXIES)}`;
  return resource('security.istio.io/v1', 'AuthorizationPolicy', {
    name,
    spec: {
      selector: { matchLabels: { app: name } },
      action: 'ALLOW',
      rules: [
        {
          from: [{ source: { principals: [caller] } }],
          to: [{ operation: { methods: ['GET'], paths: [`/items/${round}/*`] } }],
        },
      ],
    },
  });
}

function resource(
  apiVersion: string,
  kind: string,
  { name, spec }: { readonly name: string; readonly spec: unknown },
): { key: string; resource: unknown } {
  const value = { apiVersion, kind, metadata: { name, namespace: NAMESPACE }, spec };
  const parsed = parseStoredResource(value);
  if (!parsed.ok) throw new Error(parsed.error);
  return { key: `${kind}/${name}`, resource: parsed.value };
}

function nameOf(index: number): string {
  return `bench-${index}`;
}

function print(timesMs: readonly number[]): void {
  const at = (q: number) => quantile(timesMs, q).toFixed(0);
  console.log(`apply to enforced and acknowledged on ${PROXIES} proxies, ${APPLIES} times:`);
  console.log(`p50 ${at(0.5)} ms   p90 ${at(0.9)} ms   p99 ${at(0.99)} ms   worst ${at(1)} ms`);
  console.log(`propagate ${at(0.99)} ms`);
}
