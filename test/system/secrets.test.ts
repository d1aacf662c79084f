// Canary secrets in everything that a call and an application can carry, and a search through everything that leaves:
// the files of all processes, what they print, metrics, and what the API answers.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { redactionPeriod } from '#lib';
import { deriveRedactionKey } from '../../src/ca/redaction-keys.ts';
import { answering } from './applications.ts';
import { type Service, sidecarOf, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

/** Each is found only if it was not taken out; the shapes are those by which secrets are recognized. */
const CANARY = {
  jwt: 'eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOiJjYW5hcnkxand0In0.Y2FuYXJ5LXNpZ25hdHVyZQ',
  bearer: 'canary2bearerAbC123',
  basic: 'Y2FuYXJ5OmNhbmFyeTNiYXNpYw==',
  cookie: 'canary4cookie',
  query: 'canary5query',
  apiKey: 'canary6apikey',
  email: 'canary7.person@example.org',
  card: '4111111111111111',
  opaque: 'canary8X9kQ2mZ7pTr4WvB8nYc3HdF6jGs1QaE',
  github: 'ghp_canary9a1B2c3D4e5F6g7H8i9J0',
  matrix: 'canary10session',
  requestBody: 'canary11requestbody',
  answerBody: 'canary12answerbody',
  setCookie: 'canary13setcookie',
  environment: 'canary14environment',
  argument: 'canary15argument',
  answerHeader: 'canary16answerheader',
  userinfo: 'canary17userinfo',
  malformed: 'canary18malformed',
  userAgent: 'canary19useragent',
} as const;

const SERVER = answering(`
  q.resume();
  s.setHeader('set-cookie', 'id=${CANARY.setCookie}');
  s.setHeader('x-answer', '${CANARY.answerHeader}');
  s.statusCode = q.url.startsWith('/fail') ? 500 : 200;
  s.end('${CANARY.answerBody}');`);

const POLICIES = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server }
spec:
  selector: { matchLabels: { app: server } }
  action: ALLOW
  rules: [{ to: [{ operation: { notPaths: ["/denied/*"] } }] }]
---
apiVersion: palisade.dev/v1
kind: TelemetryPolicy
metadata: { name: server }
spec:
  records: { headers: [user-agent, x-user] }
  redaction: { hashed: [email] }
---
apiVersion: palisade.dev/v1
kind: Sink
metadata: { name: files, namespace: palisade-system }
spec:
  evidence: { records: {}, audit: {}, alerts: {}, traces: {}, metrics: {} }
  file: { name: evidence.jsonl }
`;

let mesh: TestMesh;
let client: Service;
let server: Service;

before(async () => {
  mesh = await startTestMesh();
  client = await mesh.run('client', ['sleep', '600']);
  // The environment of an application is its own: its sidecar must not tell it to anybody.
  process.env['CANARY_PASSWORD'] = CANARY.environment;
  server = await mesh.run('server', [...SERVER, CANARY.argument]);
  delete process.env['CANARY_PASSWORD'];
  await mesh.apply(POLICIES);
});
after(() => mesh.close());

const HEADERS = [
  'Host: server',
  `Authorization: Bearer ${CANARY.bearer}`,
  `Proxy-Authorization: Basic ${CANARY.basic}`,
  `Cookie: sid=${CANARY.cookie}`,
  `X-Api-Key: ${CANARY.apiKey}`,
  `User-Agent: browser password=${CANARY.userAgent}`,
  `X-User: ${CANARY.email}`,
];

const PATHS = [
  `/verify/${CANARY.jwt}?token=${CANARY.query}`,
  `/users/${CANARY.email}`,
  `/denied/${CANARY.email}/${CANARY.jwt}?x=${CANARY.query}`,
  `/fail/pay/${CANARY.card}`,
  `/reset/${CANARY.opaque}`,
  `/hooks/${CANARY.github};jsessionid=${CANARY.matrix}`,
];

test('no canary leaves: files, output, metrics, and what the API answers', async () => {
  for (const path of PATHS) {
    const body = CANARY.requestBody;
    await send([`POST ${path} HTTP/1.1`, ...HEADERS, `Content-Length: ${body.length}`], body);
  }
  await send([`GET http://bob:${CANARY.userinfo}@server/x HTTP/1.1`, ...HEADERS]);
  await send([`GET /x HTTP/9.9 ${CANARY.malformed}`, ...HEADERS, `Broken ${CANARY.malformed}`]);
  await send([`GET http://nobody/${CANARY.email}?q=${CANARY.query} HTTP/1.1`, ...HEADERS]);

  const records = await recorded();
  checkRecords(records);
  const bundle = join(mesh.dataDir, 'bundle.tar.gz');
  const leaving = new Map<string, string>([['records of the API', JSON.stringify(records)]]);
  for (const command of [
    ['status', '-o', 'json'],
    ['doctor'],
    ['explain', records.find((each) => each['denial_id'] !== null)?.['denial_id'] ?? ''],
    ['identity', 'list', '-o', 'json'],
    ['trace', records[0]?.['trace_id'] ?? '', '-o', 'json'],
    ['alerts', 'list', '-o', 'json'],
    ['audit', 'search', '-o', 'json'],
    ['sink', 'list', '-o', 'json'],
    ['support-bundle', '--out', bundle],
  ]) {
    const done = await mesh.cli(...command.map(String));
    leaving.set(command.join(' '), done.stdout + done.stderr);
  }
  for (const service of [client, server]) {
    leaving.set(`metrics of ${service.name}`, await metricsOf(service));
    leaving.set(`output of ${service.name}`, service.run.output());
    const commandLine = readFileSync(`/proc/${service.ports.pid}/cmdline`, 'latin1');
    leaving.set(`command line of ${service.name}`, commandLine);
  }
  leaving.set('output of up', mesh.up.output());
  leaving.set('support bundle', gunzipSync(readFileSync(bundle)).toString('latin1'));
  // On disk once the processes are gone, so that nothing is still in memory alone.
  await Promise.all([client.run.stop(), server.run.stop()]);
  for (const path of filesIn(mesh.dataDir)) leaving.set(path, readFileSync(path, 'latin1'));
  checkRedactionKey(leaving);
  assert.ok([...leaving.keys()].some((name) => name.endsWith('.spool')));
  assert.match(sunk([...leaving]), /\[redacted:token\]/, 'what a sink wrote is among it');
  for (const [where, text] of leaving) {
    for (const [name, canary] of Object.entries(CANARY)) {
      assert.ok(!text.includes(canary), `${name} is in ${where}`);
    }
  }
});

/** The key that joins records lies where the authority keeps it and nowhere else, in no spelling; nor does that of today. */
function checkRedactionKey(leaving: ReadonlyMap<string, string>): void {
  const path = join(mesh.dataDir, 'ca', 'redaction.key');
  const secret = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  assert.equal(secret.length, 32);
  const days = [0, 86_400_000].map((ms) => redactionPeriod(Date.now() + ms));
  const keys = [secret, ...days.map((day) => deriveRedactionKey(secret, 'cluster.local', day))];
  for (const [where, text] of leaving) {
    for (const key of keys.map((each) => Buffer.from(each))) {
      for (const spelling of ['base64url', 'base64', 'hex', 'latin1'] as const) {
        const found = text.includes(key.toString(spelling));
        assert.ok(!found || where === path, `the redaction key is in ${where} as ${spelling}`);
      }
    }
  }
}

/** What the file sink wrote. */
function sunk(all: readonly (readonly [string, string])[]): string {
  return all
    .filter(([name]) => name.includes('/sinks/files/'))
    .map(([, text]) => text)
    .join('');
}

type Shown = Readonly<Record<string, unknown>>;

/** What is there instead of the secrets. */
function checkRecords(records: readonly Shown[]): void {
  const paths = records.map(({ path }) => String(path));
  for (const expected of [
    /^\/verify\/\[redacted:token\]$/,
    /^\/users\/\[redacted:email:[\w-]{12}\]$/,
    /^\/denied\/\[redacted:email:[\w-]{12}\]\/\[redacted:token\]$/,
    /^\/fail\/pay\/\[redacted:card\]$/,
    /^\/reset\/\[redacted:token\]$/,
    /^\/hooks\/\[redacted:key\];jsessionid=\[redacted:secret\]$/,
  ]) {
    assert.ok(
      paths.some((path) => expected.test(path)),
      `${expected} in ${paths.join(' ')}`,
    );
  }
  const users = records.find(({ path }) => String(path).startsWith('/users/'));
  const { 'x-user': user, ...others } = (users?.['headers'] ?? {}) as Record<string, string>;
  assert.deepEqual(others, { 'user-agent': 'browser password=[redacted:secret]' });
  assert.match(user ?? '', /^\[redacted:email:[\w-]{12}\]$/);
  assert.deepEqual(users?.['redacted'], ['path', 'headers.user-agent', 'headers.x-user']);
  checkJoin(records, user ?? '');
}

/** The same address has the same hash in the records of who called and of who was called, in paths and in headers. */
function checkJoin(records: readonly Shown[], hash: string): void {
  const today = redactionPeriod(Date.now());
  for (const reporter of ['source', 'destination']) {
    const own = records.filter(
      (each) => each['reporter'] === reporter && String(each['path']).startsWith('/users/'),
    );
    assert.ok(own.length > 0, reporter);
    for (const { path, headers, redaction_key: key } of own) {
      assert.equal((headers as Record<string, string>)['x-user'], hash, reporter);
      assert.equal(path, `/users/${hash}`, reporter);
      assert.ok(key === today || key === redactionPeriod(Date.now() - 60_000), String(key));
    }
  }
}

/** The records of all calls at both of their ends, once they are there. */
async function recorded(): Promise<Shown[]> {
  return until('the records', async () => {
    const log = await mesh.cli('log', '-o', 'json', '--since', '5m', '--reporter', 'both');
    const found = asRecords(log.stdout);
    const isThere = ['destination', 'source'].every(
      (end) => found.filter(({ reporter }) => reporter === end).length >= PATHS.length,
    );
    return isThere && found;
  });
}

function asRecords(text: string): Shown[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Shown);
}

/** Sends what an application might, well-formed or not, and waits for the end of the answer. */
function send(lines: readonly string[], body = ''): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(client.ports.outboundPort, '127.0.0.1');
    socket.on('error', () => {
      // A reset ends it as well.
    });
    socket.once('close', () => resolve());
    socket.resume();
    socket.setTimeout(5_000, () => socket.destroy());
    socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
  });
}

function metricsOf({ name }: Service): Promise<string> {
  const { metricsUrl } = sidecarOf(mesh, name);
  return new Promise((resolve, reject) => {
    get(`${metricsUrl}/metrics`, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      answer.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).size > 0);
}
