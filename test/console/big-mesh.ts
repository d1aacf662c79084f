import { once } from 'node:events';
import { join } from 'node:path';
import {
  AckSchema,
  createMessage,
  Distribution,
  EdgeCountSchema,
  HelloSchema,
  ReportRequestSchema,
  SubscribeRequestSchema,
  type SubscribeResponse,
  Telemetry,
} from '#wire';
import {
  allowResource,
  type Fixture,
  serviceResource,
  startFixture,
} from '../../src/control/control-fixture.ts';
import { reportsOfCalls } from './reported-calls.ts';

/** A real control plane that knows 200 services with a sidecar each, and what they say of their calls. */
export type BigMesh = {
  /** A link that signs one browser in. */
  readonly signInLink: () => string;
  readonly url: string;
  /** Counts a round of calls on every edge, as the sidecars would report them. */
  readonly reportCalls: () => Promise<void>;
  readonly close: () => Promise<void>;
};

const DIST = join(import.meta.dirname, '../../console/dist');
const TEAMS = [
  'accounts',
  'billing',
  'catalog',
  'checkout',
  'delivery',
  'edge',
  'identity',
  'reports',
  'search',
  'support',
];
const ROLES = [
  'api',
  'gateway',
  'worker',
  'store',
  'cache',
  'index',
  'mailer',
  'queue',
  'rules',
  'audit',
  'export',
  'import',
  'planner',
  'pricing',
  'quotas',
  'resolver',
  'router',
  'sync',
  'tasks',
  'views',
];

/** Starts it: namespaces are applied as signed sets, sidecars subscribe and acknowledge, calls are reported. */
export async function startBigMesh(): Promise<BigMesh> {
  const mesh = await startFixture({ assets: DIST });
  const enforced = await applyTeams(mesh);
  await connectSidecars(mesh, enforced);
  const reports = mesh.grpc(Telemetry).bidi(Telemetry.method.report);
  reports.on('error', () => {
    // As above.
  });
  let seq = 0n;
  const signInLink = (): string => {
    const link = mesh.control().signInLink();
    if (link === undefined) throw new Error('the fixture has a console');
    return link;
  };
  const reportCalls = async (): Promise<void> => {
    seq += 1n;
    const edges = callEdges();
    reports.write(
      createMessage(ReportRequestSchema, { node: 'edge/gateway/1', edges, lastSeq: seq }),
    );
    await once(reports, 'data');
  };
  await reportCalls();
  for (const report of reportsOfCalls(Date.now())) {
    reports.write(report);
    await once(reports, 'data');
  }
  return {
    signInLink,
    url: new URL(signInLink()).origin,
    reportCalls,
    async close() {
      reports.end();
      await mesh.close();
    },
  };
}

type SetVersion = { readonly namespace: string; readonly number: bigint; readonly hash: string };

/** A namespace a team, each with twenty services and a policy. */
async function applyTeams(mesh: Fixture): Promise<readonly SetVersion[]> {
  const versions: SetVersion[] = [];
  for (const team of TEAMS) {
    const services = ROLES.map((role) => {
      const name = `${team}-${role}`;
      return [`Service/${name}`, serviceResource(team, name)] as const;
    });
    const policy = allowResource(team, `${team}-api`, `${team}-gateway`);
    const applied = await mesh.apply(team, {
      ...Object.fromEntries(services),
      [`AuthorizationPolicy/${team}-api-callers`]: policy,
    });
    if (applied.status !== 201) throw new Error(applied.text);
    versions.push({ namespace: team, number: 1n, hash: applied.json.hash });
  }
  return versions;
}

/** A stream for each sidecar, all through one agent; two of them never acknowledge, and so are stale. */
async function connectSidecars(mesh: Fixture, versions: readonly SetVersion[]): Promise<void> {
  const agent = mesh.grpc(Distribution);
  const expires = BigInt(Date.now() + 3_600_000);
  const heard: Promise<unknown>[] = [];
  for (const version of versions) {
    for (const role of ROLES) {
      const { namespace } = version;
      const spiffeId = `spiffe://cluster.local/ns/${namespace}/sa/${namespace}-${role}`;
      const node = `${namespace}/${namespace}-${role}/1`;
      const stream = agent.bidi(Distribution.method.subscribe);
      stream.on('error', () => {
        // The control plane ends all streams when it closes.
      });
      const hello = createMessage(HelloSchema, {
        kind: 'proxy',
        node,
        spiffeId,
        namespaces: [namespace],
        trustRootVersion: 1n,
      });
      stream.write(
        createMessage(SubscribeRequestSchema, { message: { case: 'hello', value: hello } }),
      );
      heard.push(once(stream, 'data') as Promise<[SubscribeResponse]>);
      if (role === 'sync' && (namespace === 'search' || namespace === 'billing')) continue;
      const ack = createMessage(AckSchema, {
        enforced: [version],
        ready: true,
        spiffeId,
        trustRootVersion: 1n,
        certificateExpiresAtMs: expires,
        certificateSerial: 'ab12',
      });
      stream.write(createMessage(SubscribeRequestSchema, { message: { case: 'ack', value: ack } }));
    }
  }
  await Promise.all(heard);
}

/** Services call later ones of their team, gateways the APIs of later teams, two earlier ones; some of it goes wrong. */
function callEdges() {
  const edges = TEAMS.flatMap((team, at) => {
    const own = ROLES.flatMap((role, index) =>
      [1, 3, 7].flatMap((step) => {
        const to = ROLES[index + step];
        if (to === undefined || (index + step) % 2 === 0) return [];
        const call = { from: `${team}-${role}`, to: `${team}-${to}` };
        return [{ ...call, namespace: team, toNamespace: team }];
      }),
    );
    const far = [1, 3, 4, at === 7 ? -2 : 6].flatMap((step) => {
      const other = TEAMS[at + step];
      if (other === undefined) return [];
      const call = { from: `${team}-gateway`, to: `${other}-api` };
      return [{ ...call, namespace: team, toNamespace: other }];
    });
    return [...own, ...far];
  });
  return edges.map(({ from, namespace, to, toNamespace }, index) =>
    createMessage(EdgeCountSchema, {
      sourceId: `spiffe://cluster.local/ns/${namespace}/sa/${from}`,
      sourceService: from,
      destinationService: to,
      destinationNamespace: toNamespace,
      requests: BigInt(20 + (index % 17) * 30),
      denied: index % 61 === 7 ? 20n : 0n,
      errors: index % 47 === 11 ? 12n : 0n,
      bytesIn: 1_000n,
      bytesOut: 90_000n,
      durationUsSum: BigInt((20 + (index % 17) * 30) * 1800),
      mtls: index % 149 !== 5,
      protocol: 'http',
      connections: 2n,
      reporter: 'destination',
    }),
  );
}
