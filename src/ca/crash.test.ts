// kill -9 of an authority amid requests by calls and on agents' own connections (`palisade-issue/1`), for certificates and
// for tokens: what anybody was given is in the log, no entry is lost, and the next authority answers at once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyIssuanceLog } from '#trust';
import {
  createMessage,
  ISSUE_CLIENT,
  Issuance,
  type IssueRequest,
  IssueRequestSchema,
  type IssueResponse,
  openMessageStream,
} from '#wire';
import { openDatabase } from './database.ts';
import {
  createTestMesh,
  csrOf,
  enrol,
  registration,
  signSet,
  startFakeControl,
  type TestCaller,
  type TestMesh,
  TRUST_DOMAIN,
} from './fixtures.ts';
import { openIssuanceLog } from './issuance-log.ts';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));
// More of them, and at random moments: PALISADE_CRASH_ROUNDS=50.
const ROUNDS = Number(process.env['PALISADE_CRASH_ROUNDS'] ?? 3);
const LANES = 4;
const HOST = '/palisade/agent/host';
const WEB = ['unix:uid:1000'];

/** What came of all rounds: digests by what they are of, and the entries that answers promised. */
type Received = {
  readonly called: Set<string>;
  readonly streamed: Set<string>;
  readonly tokens: Set<string>;
  readonly promised: Map<number, string>;
};

test('killed at any moment, no certificate or token is outside of the log and the log goes on', async () => {
  const mesh = createTestMesh();
  const received: Received = {
    called: new Set(),
    streamed: new Set(),
    tokens: new Set(),
    promised: new Map(),
  };
  try {
    await registerWeb(mesh);
    for (let round = 0; round < ROUNDS; round++) {
      const issues = 1 + Math.floor(150 * Math.random());
      await issueUntilKilled(mesh, received, { issues, afterMs: 3 * Math.random() });
    }
    const database = openDatabase(join(mesh.folder, 'ca.db'));
    const entries = openIssuanceLog(database).read(0, 1_000_000);
    database.close();
    const verified = verifyIssuanceLog(entries);
    assert.ok(verified.ok, verified.ok ? '' : verified.error.message);
    const logged = new Set(entries.map((entry) => entry.certificateSha256));
    for (const digests of [received.called, received.streamed, received.tokens]) {
      assert.ok(digests.size > ROUNDS / 2, `${digests.size} in ${ROUNDS} rounds`);
      for (const digest of digests) assert.ok(logged.has(digest), digest);
    }
    for (const [number, hash] of received.promised) assert.equal(entries[number - 1]?.hash, hash);
  } finally {
    mesh.remove();
  }
});

/** The authority keeps what its control plane gave it once. */
async function registerWeb(mesh: TestMesh): Promise<void> {
  const first = await mesh.startCa();
  const control = await startFakeControl(mesh, first);
  await first.close();
  const ca = await mesh.startCa({ control: control.address });
  await control.subscribed();
  await control.send(signSet(mesh, [registration('web', WEB)]));
  await ca.close();
  await control.close();
}

/** Starts an authority, which has to answer each of the three, asks it all the time, and kills it. */
async function issueUntilKilled(
  mesh: TestMesh,
  received: Received,
  moment: { readonly issues: number; readonly afterMs: number },
): Promise<void> {
  const { issues, afterMs } = moment;
  const child = spawn(process.execPath, [CHILD, mesh.folder, mesh.trustRootFile, TRUST_DOMAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
    const port = Number(line);
    const agent = await enrol(mesh, port, HOST, mesh.tokens.agent);
    let answered = 0;
    const count = (): void => {
      answered += 1;
      if (answered === issues) setTimeout(() => child.kill('SIGKILL'), afterMs);
    };
    const calls = Array.from({ length: LANES }, () => callUntilEnd(agent, received, count));
    await Promise.all([...calls, streamUntilEnd({ mesh, port, agent }, received, count)]);
    agent.client.close();
  } finally {
    child.kill('SIGKILL');
  }
}

async function callUntilEnd(agent: TestCaller, received: Received, count: () => void) {
  const { csr } = csrOf(HOST);
  for (;;) {
    const svid = await agent.client
      .unary(Issuance.method.issueX509Svid, { csr })
      .catch(() => undefined);
    if (svid === undefined) return;
    received.called.add(digestOf(svid.chain[0] ?? ''));
    count();
  }
}

/** Several requests on the way at once on a connection as agents have it, certificates and tokens in turn. */
async function streamUntilEnd(
  of: { readonly mesh: TestMesh; readonly port: number; readonly agent: TestCaller },
  received: Received,
  count: () => void,
): Promise<void> {
  const { mesh, port, agent } = of;
  const { chainPem, privateKeyPem } = agent;
  const { csr } = csrOf(`/ns/shop/sa/web`);
  let asked = 0;
  const next = (): IssueRequest => {
    const id = ++asked;
    const spiffeId = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
    const token = { spiffeId, audience: [`reports-${id}`], selectors: WEB };
    const request =
      id % 2 === 0
        ? { case: 'jwtSvid', value: token }
        : { case: 'x509Svid', value: { csr, selectors: WEB } };
    return createMessage(IssueRequestSchema, { id, request: request as never });
  };
  const stream = openMessageStream(
    {
      kind: 'tls',
      address: `127.0.0.1:${port}`,
      rootsPem: [mesh.rootPem],
      client: { chainPem, privateKeyPem },
      verifyServer: () => undefined,
    },
    ISSUE_CLIENT,
  );
  await new Promise<void>((resolve, reject) => {
    stream.on('error', () => resolve());
    stream.on('end', resolve);
    stream.on('data', (answer) => {
      const problem = keepAnswer(received, answer);
      if (problem !== undefined) reject(new Error(problem));
      count();
      stream.write(next());
    });
    for (let lane = 0; lane < LANES; lane++) stream.write(next());
  });
}

/** Notes what an answer holds; why it holds nothing, if so. */
function keepAnswer(received: Received, { response }: IssueResponse): string | undefined {
  if (response.case === 'refusal') return response.value.details;
  if (response.case === 'x509Svid') {
    received.streamed.add(digestOf(response.value.chain[0] ?? ''));
  } else if (response.case === 'jwtSvid') {
    received.tokens.add(digestOf(response.value.token));
  } else return 'an answer of nothing';
  received.promised.set(Number(response.value.logNumber), response.value.logHash);
  return undefined;
}

function digestOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
