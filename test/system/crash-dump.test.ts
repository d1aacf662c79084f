// Processes of the mesh that die of what nobody expected, under NODE_OPTIONS that ask for every dump there is: nothing that
// a caller sent or that somebody put into the environment is in what they print or leave.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { curlFrom, type Running, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

const CANARY = {
  environment: 'canary1environment',
  bearer: 'canary2bearerAbC123',
  email: 'canary3.person@example.org',
  query: 'canary4query',
  body: 'canary5requestbody',
} as const;

// Within a process: an exception that nobody catches, or all of its memory.
const BOMB = `if (process.argv[1]?.endsWith('palisade.js')) {
  process.on('SIGURG', () => setImmediate(() => { throw new Error('a bomb'); }));
  process.on('SIGWINCH', () => { const all = []; for (;;) all.push(new Array(1e5).fill({})); });
}`;

const SERVER = `require('http').createServer((q, s) => q.resume().on('end', () => s.end('ok')))
  .listen(process.env.PORT, '127.0.0.1')`;

const reports = mkdtempSync(join(tmpdir(), 'palisade-reports-'));
const RUINED = {
  CANARY_PASSWORD: CANARY.environment,
  NODE_OPTIONS: [
    '--report-uncaught-exception',
    '--report-on-fatalerror',
    `--report-directory=${reports}`,
    `--diagnostic-dir=${reports}`,
    '--abort-on-uncaught-exception',
    '--max-old-space-size=160',
    `--import=data:text/javascript;base64,${Buffer.from(BOMB).toString('base64')}`,
  ].join(' '),
};

let mesh: TestMesh;
let client: Service;
let server: Service;

before(async () => {
  const own = Object.fromEntries(Object.keys(RUINED).map((name) => [name, process.env[name]]));
  Object.assign(process.env, RUINED);
  mesh = await startTestMesh();
  client = await mesh.run('client', ['sleep', '600']);
  server = await mesh.run('server', [process.execPath, '-e', SERVER]);
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await mesh.apply(POLICY);
});
after(async () => {
  await mesh.close();
  rmSync(reports, { recursive: true });
});

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server }
spec: { selector: { matchLabels: { app: server } }, action: ALLOW, rules: [{}] }
`;

test('a crash of each process leaves no canary: neither an exception nor a lack of memory', async () => {
  const url = `http://server/users/${CANARY.email}?token=${CANARY.query}`;
  const headers = ['-H', `Authorization: Bearer ${CANARY.bearer}`, '-d', CANARY.body];
  const { status } = await curlFrom(client, ...headers, url);
  assert.equal(status, 200);
  const dying: readonly (readonly [string, Running, number, NodeJS.Signals])[] = [
    ['the server’s sidecar', server.run, server.ports.pid, 'SIGURG'],
    ['the client’s sidecar', client.run, client.ports.pid, 'SIGWINCH'],
    ['control plane, authority and agent', mesh.up, mesh.up.child.pid ?? 0, 'SIGURG'],
  ];
  const cwd = readdirSync('.');
  for (const [name, run, pid, signal] of dying) {
    process.kill(pid, signal);
    await until(`${name} ends`, () => !existsSync(`/proc/${pid}/exe`));
    await run.stop();
    const output = run.output();
    assert.match(output, /a bomb|heap out of memory/, name);
    for (const canary of Object.values(CANARY)) assert.ok(!output.includes(canary), name);
  }
  assert.deepEqual(readdirSync(reports), []);
  assert.deepEqual(readdirSync('.'), cwd);
  for (const path of filesIn(mesh.dataDir)) {
    const text = readFileSync(path, 'latin1');
    for (const canary of Object.values(CANARY)) assert.ok(!text.includes(canary), path);
  }
});

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
