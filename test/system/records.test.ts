// Records from real sidecars to `palisade log` and `palisade trace`: filters, one call across services, what is missing, and
// a control plane that is killed in between.
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { allow } from './allow.ts';
import { answering } from './applications.ts';
import { meshIn, startTestMesh, startUp, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

const CALLS = 40;

let mesh: TestMesh | undefined;
let port = 0;
after(() => mesh?.close());

type LoggedRecord = Readonly<Record<string, string | number | null>>;

async function log(of: TestMesh, ...flags: string[]): Promise<readonly LoggedRecord[]> {
  const { stdout, stderr, status } = await of.cli('log', '-o', 'json', '--since', '10m', ...flags);
  assert.equal(status, 0, stderr);
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

/** Asks until there are so many. */
async function logged(
  of: TestMesh,
  count: number,
  ...flags: string[]
): Promise<readonly LoggedRecord[]> {
  return until(`${count} records`, async () => {
    const found = await log(of, ...flags);
    return found.length >= count && found;
  });
}

function call(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = {
      host: '127.0.0.1',
      port,
      path: `http://orders${path}`,
      headers: { host: 'orders' },
    };
    get(request, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
    }).on('error', reject);
  });
}

test('every call is found by what is in its record, and shown across services', async () => {
  mesh = await startTestMesh();
  const web = await mesh.run('web', ['sleep', '3600']);
  port = web.ports.outboundPort;
  await mesh.run('orders', answering("s.end('done')"));
  await mesh.apply(allow('orders', 'web', '{ paths: [/open/*] }'));
  for (let at = 0; at < CALLS; at++) {
    const path = at % 4 === 0 ? `/closed/${at}` : `/open/${at}`;
    assert.equal(await call(port, path), at % 4 === 0 ? 403 : 200, path);
  }
  // Each side tells of a call in its own time.
  await logged(mesh, 2 * CALLS, '--to', 'orders', '--reporter', 'both');
  assert.equal((await log(mesh, '--to', 'orders')).length, CALLS);
  const denied = await log(mesh, '--denied', '--path', '/closed/');
  assert.equal(denied.length, CALLS / 4);
  assert.deepEqual(await log(mesh, '--where', 'status>=400', '--where', 'path~open'), []);
  assert.equal((await log(mesh, '--where', 'path=/open/1*', '--verdict', 'allow')).length, 9);
  const [one] = await log(mesh, '--where', 'path=/open/7');
  const trace = await mesh.cli('trace', String(one?.['trace_id']));
  assert.equal(trace.status, 0, trace.stderr);
  assert.match(trace.stdout, /web calls GET \/open\/7 +200/);
  assert.match(trace.stdout, /\n.* {3,}orders serves GET \/open\/7 +200 by default\/orders/);
  assert.equal((await mesh.cli('log', '--where', 'nonsense')).status, 2);
  const unknown = await mesh.cli('explain', 'deadbeef');
  assert.equal(unknown.status, 1, 'what is not there is a no');
  assert.match(
    unknown.stderr,
    /no record of denial .*\n {2}help: take an id from `(npx )?palisade log/,
  );
  for (const limit of [1, 2, 3]) {
    const newest = await log(mesh, '--limit', String(limit));
    assert.equal(newest.length, limit, 'both sides record a call, and the limit counts calls');
  }
  const yaml = await mesh.cli('log', '--since', '10m', '--limit', '2', '-o', 'yaml');
  const documents = parseAllDocuments(yaml.stdout).map((document) => document.toJS());
  assert.deepEqual(documents, await log(mesh, '--limit', '2'));
});

test('a control plane that is killed loses no record that was made, and has none twice', async () => {
  const before = mesh;
  assert.ok(before !== undefined, 'the mesh did not start');
  const first = Array.from({ length: CALLS }, (_, at) => call(port, `/open/kill-${at}`));
  await delay(150);
  await before.up.stop('SIGKILL');
  await Promise.all(first);
  for (let at = CALLS; at < 2 * CALLS; at++) await call(port, `/open/kill-${at}`);
  const up = await startUp(before.dataDir);
  const again = meshIn(before.dataDir, up);
  try {
    const found = await logged(again, 2 * CALLS, '--path', '/open/kill-');
    const paths = found.map((record) => String(record['path']));
    assert.equal(new Set(paths).size, paths.length, 'some are there twice');
    assert.equal(paths.length, 2 * CALLS);
    const both = await log(again, '--path', '/open/kill-', '--reporter', 'both');
    const times = both.map((record) => String(record['time']));
    assert.deepEqual(times, times.toSorted(), 'oldest first, whoever delivered late');
  } finally {
    await up.stop();
  }
});
