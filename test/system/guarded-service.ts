// A service whose policy has something to lose: one caller is allowed, another is not, some paths nobody may reach.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { curlFrom, finish, type Service, type TestMesh } from './mesh.ts';

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

const SERVER = `require('http').createServer((q, s) => s.end(q.url)).listen(process.env.PORT, '127.0.0.1')`;

/**
 * Starts the three and applies three commits: everything allowed; one caller allowed and `/secret` denied; `/hidden`
 * denied as well. So that each older state of the history would let somebody in.
 */
export async function startGuarded(mesh: TestMesh): Promise<Guarded> {
  const server = await mesh.run('server', [process.execPath, '-e', SERVER]);
  const client = await mesh.run('client', ['sleep', '3600']);
  const stranger = await mesh.run('stranger', ['sleep', '3600']);
  await mesh.apply(allowPolicy('[{}]'));
  await mesh.apply(`${allowPolicy(FROM_CLIENT)}---\n${denyPolicy(['/secret'])}`);
  await mesh.apply(denyPolicy(['/secret', '/hidden']));
  const guarded = { mesh, server, client, stranger };
  await waitFor(async () => (await curlFrom(client, 'http://server/open')).status === 200);
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
  const before = pidOf(mesh, server);
  await finish(['kill', '-9', String(before)]);
  await waitFor(async () => pidOf(mesh, server) !== before);
  await waitFor(async () => (await curlFrom(client, 'http://server/open')).status === 200);
}

/** The process of a service's sidecar. */
export function pidOf(mesh: Pick<TestMesh, 'dataDir'>, service: Pick<Service, 'name'>): number {
  const file = join(mesh.dataDir, 'proxies', `default.${service.name}`, 'proxy.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid;
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

/** Resolves to the first answer of `look` that is something; rejects, with what `look` last threw, when time is up. */
export async function waitFor<T>(
  look: () => Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`it did not happen: ${look.toString()}`);
    await delay(150);
  }
}
