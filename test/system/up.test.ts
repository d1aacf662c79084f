// `palisade up`, `run` and the demo as their users meet them: first start, second start, refusals, ends.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERSION } from '#cli';
import { openSession } from '#client';
import { finish, palisade, start, startTestMesh, startUp } from './mesh.ts';
import { until } from './until.ts';

test('a second `up` on the same folder names the process that has it', async () => {
  const mesh = await startTestMesh();
  try {
    const second = await finish(palisade('up', '--data', mesh.dataDir, '--port', '0'));
    assert.equal(second.status, 2);
    assert.match(second.stderr, new RegExp(`process ${mesh.up.child.pid}`));
    assert.match(second.stderr, /help: /);
  } finally {
    await mesh.close();
  }
});

test('a taken port names the process that has it', async () => {
  // Below the range that the kernel takes for outgoing connections, so that the ports after it are free.
  const port = 20_000 + (process.pid % 10_000);
  const server = createServer().listen(port, '127.0.0.1');
  const dataDir = mkdtempSync(join(tmpdir(), 'palisade-port-'));
  try {
    const up = await finish(palisade('up', '--data', dataDir, '--port', String(port)));
    assert.equal(up.status, 2, up.stderr);
    assert.match(up.stderr, new RegExp(`port ${port} is taken by process ${process.pid}`));
  } finally {
    server.close();
    rmSync(dataDir, { recursive: true });
  }
});

test('a data folder that cannot be made says so', async () => {
  const up = await finish(palisade('up', '--data', '/proc/palisade', '--port', '0'));
  assert.equal(up.status, 2, up.stderr);
  assert.match(up.stderr, /cannot .*\/proc\/palisade.*\n {2}help: /);
});

test('every process says which version it is', async () => {
  const mesh = await startTestMesh();
  try {
    const session = openSession({ dataDir: mesh.dataDir });
    assert.ok(session.ok);
    const { api } = session.value;
    assert.equal((await api.call<{ version: string }>('GET', '/mesh')).version, VERSION);
    type Points = { items: readonly { kind: string; softwareVersion: string | null }[] };
    // Ready is who can serve; that the agent and the authority told of themselves comes a moment later.
    const items = await until('both are known', async () => {
      const points = await api.call<Points>('GET', '/enforcement-points');
      return points.items.length >= 2 && points.items;
    });
    assert.deepEqual(items.map(({ kind }) => kind).toSorted(), ['agent', 'ca']);
    for (const { softwareVersion } of items) assert.equal(softwareVersion, VERSION);
  } finally {
    await mesh.close();
  }
});

test('keys are for their owner alone', async () => {
  const mesh = await startTestMesh();
  try {
    const files = readdirSync(mesh.dataDir, { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => /key|token|\.db|\.sock|admins/.test(name))) {
      assert.equal(statSync(join(mesh.dataDir, file)).mode & 0o077, 0, file);
    }
    assert.ok(files.some((name) => name.endsWith('policy-author.key')));
  } finally {
    await mesh.close();
  }
});

test('`run` exits with the status of its application, and hands it signals', async () => {
  const mesh = await startTestMesh();
  try {
    const job = ['--data', mesh.dataDir, '--service', 'job', '--'];
    const run = (script: string) => palisade('run', ...job, 'sh', '-c', script);
    assert.equal((await finish(run('exit 7'))).status, 7);
    assert.equal((await finish(run('kill -9 $$'))).status, 128 + 9);
    const missing = await finish(palisade('run', ...job, 'no-such-program'));
    assert.equal(missing.status, 127);
    assert.match(missing.stderr, /there is no program `no-such-program`/);
    assert.match(missing.stderr, /help: what follows `--`/);
    const trapped = start(
      run('trap "echo got it; exit 3" TERM; echo up; while :; do sleep 0.1; done'),
    );
    await trapped.printed(/^up/m, 20_000);
    trapped.child.kill('SIGTERM');
    await trapped.printed(/got it/);
    await trapped.stop();
    assert.equal(trapped.child.exitCode, 3);
    const env = await finish(
      run('echo "$PORT $HTTP_PROXY $PALISADE_SERVICE $PALISADE_NAMESPACE $SPIFFE_ENDPOINT_SOCKET"'),
    );
    assert.match(
      env.stdout,
      /^\d+ http:\/\/127\.0\.0\.1:\d+ job default unix:\/\/\/\S+agent\.sock$/m,
    );
  } finally {
    await mesh.close();
  }
});

test('a strict mesh refuses a service that nobody registered', async () => {
  const mesh = await startTestMesh('--strict');
  try {
    const run = await finish(
      palisade('run', '--data', mesh.dataDir, '--service', 'job', '--', 'true'),
    );
    assert.equal(run.status, 4, run.stderr);
    assert.match(run.stderr, /no registration and this mesh is strict\n {2}help: /);
  } finally {
    await mesh.close();
  }
});

test('what was applied is there after a kill -9 and a new start, and applications’ terminals hear of it in words', async () => {
  const mesh = await startTestMesh();
  await mesh.apply(
    'apiVersion: palisade.dev/v1\nkind: Service\nmetadata: { name: kept }\nspec: { ports: [{ name: http, port: 80, protocol: http }] }\n',
  );
  const app = await mesh.run('app', ['sh', '-c', 'echo "it works"; exec sleep 600']);
  await mesh.up.stop('SIGKILL');
  await app.run.printed(
    /^palisade: the sidecar of app has lost the mesh .*\n {2}help: .*sidecar\.log$/m,
  );
  const again = await startUp(mesh.dataDir);
  try {
    const got = await mesh.cli('get', 'service', 'kept', '-o', 'json');
    assert.equal(got.status, 0, got.stderr);
    assert.equal(JSON.parse(got.stdout).metadata.name, 'kept');
    await app.run.printed(/^palisade: the sidecar of app is connected to the mesh again$/m, 20_000);
    const terminal = app.run.output().trim().split('\n');
    const others = terminal.filter((line) => !/^(palisade: | {2}help: )/.test(line));
    assert.deepEqual(others, ['started-app', 'it works']);
    const log = readFileSync(join(mesh.dataDir, 'proxies', 'default.app', 'sidecar.log'), 'utf8');
    for (const line of log.trim().split('\n'))
      assert.equal(JSON.parse(line).name, 'proxy default/app');
  } finally {
    await again.stop();
    await mesh.close();
  }
});

test('the demo runs, is denied what it should be, and leaves nothing behind', {
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-demo-test-'));
  const dataDir = join(folder, 'mesh');
  const up = start(palisade('up', '--demo', '--data', dataDir, '--port', '0', '-o', 'json'));
  const [line] = await up.printed(/^\{"event":"ready".*$/m, 30_000);
  const ready = JSON.parse(line) as { api: string; console: string; data: string };
  assert.equal(ready.data, dataDir);
  const cli = (...args: string[]) => finish(palisade(...args, '--data', dataDir));
  const seen = async (flags: string[], pattern: RegExp) => {
    const isLogged = async () => pattern.test((await cli('log', '-o', 'json', ...flags)).stdout);
    await until(`a record like ${pattern}`, isLogged, { withinMs: 60_000 });
  };
  await seen(['--to', 'payments'], /sa\/orders".*"verdict":"allow"/);
  await seen(['--denied'], /sa\/intruder/);
  const cookie = await signIn(ready.console);
  const overview = await fetch(new URL('/api/v1/overview', ready.console), { headers: { cookie } });
  assert.equal(overview.status, 200);
  const again = await fetch(ready.console, { redirect: 'manual' });
  assert.equal(again.status, 403, 'a link signs in once');
  await up.stop('SIGINT');
  assert.equal(up.child.exitCode, 0, up.output());
  assert.equal(existsSync(dataDir), false);
  const left = await finish([
    'sh',
    '-c',
    `ps -eo args | grep -F ${dataDir} | grep -v grep | grep -v 'sh -c'`,
  ]);
  assert.equal(left.stdout, '');
  rmSync(folder, { recursive: true });
});

/** Follows a sign-in link as a browser would; resolves to the cookie it sets. */
async function signIn(link: string): Promise<string> {
  const answer = await fetch(link, { redirect: 'manual' });
  assert.equal(answer.status, 303);
  const page = await fetch(new URL('/', link), { headers: { cookie: cookieOf(answer) } });
  assert.match(await page.text(), /<div id="root"/);
  return cookieOf(answer);
}

function cookieOf(answer: Response): string {
  const [cookie = ''] = answer.headers.getSetCookie();
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Strict/);
  return cookie.split(';')[0] ?? '';
}

test('an application that listens everywhere is shown as a way around its sidecar', async () => {
  const mesh = await startTestMesh();
  try {
    const serve = (host: string) =>
      `require('http').createServer((q, s) => s.end()).listen(process.env.PORT, '${host}')`;
    await mesh.run('open', [process.execPath, '-e', serve('0.0.0.0')]);
    await mesh.run('shut', [process.execPath, '-e', serve('127.0.0.1')]);
    const text = await until('it is told', async () => {
      const { stdout } = await mesh.cli('status');
      return /around its sidecar/.test(stdout) && stdout;
    });
    assert.match(
      text,
      /default\/open can be reached around its sidecar at 0\.0\.0\.0:\d+\n +help: /,
    );
    assert.doesNotMatch(text, /default\/shut can be reached/);
    const { stdout } = await mesh.cli('status', '-o', 'json');
    const { enforcementPoints } = JSON.parse(stdout) as {
      enforcementPoints: { service: string; exposed: string[] }[];
    };
    const exposed = enforcementPoints.filter((point) => point.exposed.length > 0);
    assert.deepEqual(
      exposed.map(({ service }) => service),
      ['open'],
    );
  } finally {
    await mesh.close();
  }
});
