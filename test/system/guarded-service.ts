// A service whose policy has something to lose: one caller is allowed, another is not, some paths nobody may reach.
import assert from 'node:assert/strict';
import { answering } from './applications.ts';
import { curlFrom, finish, type Service, sidecarOf, type TestMesh } from './mesh.ts';
import { until, untilStatus } from './until.ts';

/** The service and its two callers, each behind its sidecar. */
export type Guarded = {
  readonly mesh: TestMesh;
  readonly server: Service;
  readonly client: Service;
  readonly stranger: Service;
};

/** What each kind of call gets while the newest policy is enforced. */
export const VERDICTS: Readonly<Record<string, number>> = {
  'client /open': 200,
  'client /secret': 403,
  'client /hidden': 403,
  'stranger /open': 403,
  'stranger /secret': 403,
};

/**
 * Starts the three and applies three commits: everything allowed; one caller allowed and `/secret` denied; `/hidden`
 * denied as well. So that each older state of the history would let somebody in.
 */
export async function startGuarded(mesh: TestMesh): Promise<Guarded> {
  const server = await mesh.run('server', answering('s.end(q.url)'));
  const client = await mesh.run('client', ['sleep', '3600']);
  const stranger = await mesh.run('stranger', ['sleep', '3600']);
  await mesh.apply(allowPolicy('[{}]'));
  await mesh.apply(`${allowPolicy(FROM_CLIENT)}---\n${denyPolicy(['/secret'])}`);
  await mesh.apply(denyPolicy(['/secret', '/hidden']));
  const guarded = { mesh, server, client, stranger };
  await untilStatus(200, () => curlFrom(client, 'http://server/open'));
  await assertVerdicts(guarded, 'at the start');
  return guarded;
}

const FROM_CLIENT =
  '[{ from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }] }]';

/** The policy that lets callers in. */
export function allowPolicy(rules: string, name = 'server'): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name} }
spec: { selector: { matchLabels: { app: server } }, action: ALLOW, rules: ${rules} }
`;
}

function denyPolicy(paths: readonly string[]): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server-secret }
spec:
  selector: { matchLabels: { app: server } }
  action: DENY
  rules: [{ to: [{ operation: { paths: [${paths.join(', ')}] } }] }]
`;
}

/** Calls as each caller does and holds the answers against `VERDICTS`. */
export async function assertVerdicts(guarded: Guarded, when: string): Promise<void> {
  const seen: Record<string, number> = {};
  for (const call of Object.keys(VERDICTS)) {
    const [from, path] = call.split(' ') as ['client' | 'stranger', string];
    seen[call] = (await curlFrom(guarded[from], `http://server${path}`)).status;
  }
  assert.deepEqual(seen, VERDICTS, when);
}

/** Kills the service's sidecar and waits for its successor, which has only its disk to start from. */
export async function restartSidecar({ mesh, server, client }: Guarded): Promise<void> {
  const before = sidecarOf(mesh, server.name).pid;
  await finish(['kill', '-9', String(before)]);
  await until('its successor', () => sidecarOf(mesh, server.name).pid !== before);
  await untilStatus(200, () => curlFrom(client, 'http://server/open'));
}

/** One enforcement point as `palisade status -o json` tells it. */
export type Point = {
  readonly node: string;
  readonly stale: boolean;
  readonly reason: string;
  readonly connected: boolean;
  readonly refused: readonly { readonly namespace: string; readonly code: string }[];
};

/** The points of `palisade status -o json`; empty while the control plane does not answer. */
export async function pointsOf(mesh: TestMesh): Promise<readonly Point[]> {
  const status = await mesh.cli('status', '-o', 'json');
  if (status.stdout === '') return [];
  return (JSON.parse(status.stdout) as { enforcementPoints: readonly Point[] }).enforcementPoints;
}
