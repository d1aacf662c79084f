// Machines that fail: a disk that is full or read-only, certificates that run out while nobody renews them. Nothing
// acknowledged is lost, nothing half-done stays, and what cannot be vouched for any more is refused.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { answering } from './applications.ts';
import {
  curlFrom,
  finish,
  meshIn,
  palisade,
  type Running,
  type Service,
  sidecarOf,
  start,
  startTestMesh,
  startUp,
  type TestMesh,
} from './mesh.ts';
import { prepareParts } from './mesh-parts.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';
import { until, untilStatus } from './until.ts';

const SERVER = answering('s.end(q.url)');

test('a read-only data folder: `up` says which and why, and works once it can write', async (t) => {
  const disk = process.getuid?.() === 0 ? await mountSmallDisk(24) : readOnlyByMode();
  if (typeof disk === 'string') return t.skip(disk);
  try {
    const first = await startUp(disk.folder);
    await first.stop();
    await disk.remount('ro');
    const refused = await finish(palisade('up', '--port', '0', '--data', disk.folder));
    assert.equal(refused.status, 2, refused.stdout);
    assert.match(
      refused.stderr,
      /cannot write to the data folder `\S+`: (?:that file system is read-only|you may not write there)\n {2}help: /,
    );
    await disk.remount('rw');
    const again = await startUp(disk.folder);
    await again.stop();
  } finally {
    await disk.unmount();
  }
});

describe('a full disk', () => {
  let disk: SmallDisk | string;
  let up: Running;
  let mesh: TestMesh;
  let server: Service;
  let client: Service;

  before(async () => {
    disk = await mountSmallDisk(32);
    if (typeof disk === 'string') return;
    up = await startUp(disk.folder);
    mesh = meshIn(disk.folder, up);
    server = await mesh.run('server', SERVER);
    client = await mesh.run('client', ['sleep', '3600']);
    await mesh.apply(policy('start'));
    await untilStatus(200, () => call('/start'));
  });
  after(async () => {
    if (typeof disk === 'string') return;
    disk.free();
    await up.stop();
    await mesh.close();
    await disk.unmount();
  });

  const call = (path: string) => curlFrom(client, `http://server${path}`);
  const apply = (round: string) =>
    finish(palisade('apply', '-f', '-', '--data', mesh.dataDir), policy(round));
  const livePolicy = async () =>
    (await mesh.cli('get', 'authorizationpolicy', 'server', '-o', 'json')).stdout;

  test('changes are refused in words, what was acknowledged stays and is enforced', async (t) => {
    if (typeof disk === 'string') return t.skip(disk);
    disk.fill();
    let acknowledged = 'start';
    let refused = await apply('round/1');
    for (let round = 2; refused.status === 0 && round < 100; round += 1) {
      acknowledged = `round/${round - 1}`;
      refused = await apply(`round/${round}`);
    }
    assert.notEqual(refused.status, 0, 'the disk never was full');
    assert.match(refused.stderr, /nothing was stored: .*(?:full|space)/);
    assert.ok(
      (await livePolicy()).includes(`"/${acknowledged}"`),
      'an acknowledged change is gone',
    );
    await untilStatus(200, () => call(`/${acknowledged}`));
    for (let i = 0; i < 50; i += 1) {
      assert.equal((await call(`/${acknowledged}`)).status, 200);
      assert.equal((await call('/never')).status, 403);
    }
  });

  test('a sidecar serves on, and says that its records cannot be written', async (t) => {
    if (typeof disk === 'string') return t.skip(disk);
    await until('its words', async () => {
      assert.equal((await call('/never')).status, 403);
      const { status, body } = await readiness(mesh, server);
      assert.equal(status, 200);
      return body.startsWith('ready, but access records cannot be written to disk: ENOSPC');
    });
  });

  test('a sidecar that dies meanwhile comes back and enforces', async (t) => {
    if (typeof disk === 'string') return t.skip(disk);
    const served = /"\/((?:start|round\/\d+))"/.exec(await livePolicy())?.[1] ?? '';
    await finish(['kill', '-9', String(sidecarOf(mesh, 'server').pid)]);
    await server.run.printed(/is started again/);
    await untilStatus(200, () => call(`/${served}`));
    assert.equal((await call('/never')).status, 403);
  });

  test('`up` that is started meanwhile serves, or says that the disk is full', async (t) => {
    if (typeof disk === 'string') return t.skip(disk);
    await up.stop('SIGKILL');
    const again = start(palisade('up', '--port', '0', '--data', disk.folder));
    await again.printed(/^ready|the disk of `\S+` is full\n {2}help: /m, 30_000);
    assert.equal((await call('/never')).status, 403);
    await again.stop('SIGKILL');
  });

  test('with room again changes are taken, and all of them are there after a crash', async (t) => {
    if (typeof disk === 'string') return t.skip(disk);
    disk.free();
    up = await startUp(disk.folder);
    await mesh.apply(policy('after'));
    await untilStatus(200, () => call('/after'));
    assert.equal((await call('/start')).status, 403);
    await until('ready', async () => (await readiness(mesh, client)).body === 'ready\n');
    // Whatever was half written when the disk was full does no harm to what came before and after.
    assert.match(await metricsOf(mesh, client), /^palisade_telemetry_damaged_total 0$/m);
    assert.match(await metricsOf(mesh, client), /^palisade_telemetry_write_failures_total [1-9]/m);
    await up.stop('SIGKILL');
    up = await startUp(disk.folder);
    assert.ok((await livePolicy()).includes('"/after"'));
    const status = await mesh.cli('status', '--wait', '--timeout', '30s');
    assert.equal(status.status, 0, status.stdout);
  });
});

test('certificates run out while agent and CA are gone: not ready, refused; and back again', async () => {
  const parts = await prepareParts();
  for (const part of ['ca', 'control', 'agent'] as const) await parts.start(part);
  const mesh = parts.mesh();
  try {
    await applyIn(parts.dataDir, 'palisade-system', MESH);
    await applyIn(
      parts.dataDir,
      'default',
      registration('server') + registration('client') + policy('start'),
    );
    const server = await mesh.run('server', SERVER);
    const client = await mesh.run('client', ['sleep', '3600']);
    const call = () => curlFrom(client, 'http://server/start');
    await untilStatus(200, call);
    for (const part of ['agent', 'ca'] as const) await parts.running.get(part)?.stop('SIGKILL');
    const ready = (service: Service) => readiness(mesh, service);
    assert.equal((await ready(server)).status, 200);
    // Not ready a moment before; once they have expired, nothing passes.
    const areOut = async () => {
      const told = [await ready(server), await ready(client)];
      return told.every(({ status, body }) => status === 503 && !/about to expire/.test(body));
    };
    await until('both have expired', areOut, { withinMs: 80_000 });
    for (const service of [server, client]) {
      assert.match((await ready(service)).body, /certificate|identity/, service.name);
    }
    for (let i = 0; i < 5; i += 1) {
      assert.notEqual((await call()).status, 200);
      await delay(100);
    }
    for (const part of ['ca', 'agent'] as const) await parts.start(part);
    await untilStatus(200, call);
    assert.equal((await ready(server)).status, 200);
  } finally {
    await mesh.close();
    await parts.close();
  }
});

describe('a sidecar whose clock is off', () => {
  let mesh: TestMesh;
  let client: Service;

  before(async () => {
    mesh = await startTestMesh();
    client = await mesh.run('client', ['sleep', '3600']);
  });
  after(() => mesh.close());

  for (const [name, minutes, told] of [
    ['an hour ahead', 65, /expired/],
    ['an hour behind', -65, /is a clock wrong/],
  ] as const) {
    test(`${name}: it says so, serves nothing, and disturbs nobody`, async () => {
      const service = `off${minutes > 0 ? 'ahead' : 'behind'}`;
      // First with a good clock: `run` registers it, and what is to come is about the sidecar.
      const first = await mesh.run(service, ['sleep', '3600']);
      await first.run.stop();
      const run = startSkewed(mesh, service, minutes);
      try {
        const state = await until('its words', async () => {
          const { status, body } = await readiness(mesh, { name: service }).catch(() => NOT_YET);
          return status === 503 && told.test(body) && body;
        });
        assert.match(state, told);
        const answer = await curlFrom(client, `http://${service}/`);
        assert.notEqual(answer.status, 200, answer.headers);
        assert.equal((await readiness(mesh, client)).status, 200);
      } finally {
        await run.stop();
      }
    });
  }

  test('half a minute off: forgiven', async () => {
    for (const [service, minutes] of [
      ['slightlyahead', 0.5],
      ['slightlybehind', -0.5],
    ] as const) {
      const run = startSkewed(mesh, service, minutes);
      try {
        await mesh.apply(openTo(service));
        await untilStatus(200, () => curlFrom(client, `http://${service}/`));
      } finally {
        await run.stop();
      }
    }
  });
});

const NOT_YET = { status: 0, body: '' };

/** `palisade run` with JavaScript's clock moved; what OpenSSL checks by itself stays with the machine's. */
function startSkewed(mesh: TestMesh, service: string, minutes: number): Running {
  const module = `const real = Date.now.bind(Date), off = ${minutes * 60_000};
    globalThis.Date = class extends Date {
      constructor(...given) { given.length ? super(...given) : super(real() + off); }
      static now() { return real() + off; }
    };`;
  const url = `data:text/javascript;base64,${Buffer.from(module).toString('base64')}`;
  const run = palisade('run', '--data', mesh.dataDir, '--service', service, '--', ...SERVER);
  return start(run, { ...process.env, NODE_OPTIONS: `--import=${url}` });
}

function openTo(name: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name} }
spec: { selector: { matchLabels: { app: ${name} } }, action: ALLOW, rules: [{}] }
`;
}

const MESH = `apiVersion: palisade.dev/v1
kind: Mesh
metadata: { name: mesh }
spec: { trustDomain: cluster.local }
`;

/** Allows one path, and takes much room for it. */
function policy(path: string): string {
  const padding = Array.from({ length: 600 }, (_, i) => `/padding/${path}/${i}/${'x'.repeat(100)}`);
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server }
spec:
  selector: { matchLabels: { app: server } }
  action: ALLOW
  rules: [{ to: [{ operation: { paths: [/${path}, ${padding.join(', ')}] } }] }]
`;
}

function registration(name: string): string {
  return `apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: ${name} }
spec:
  spiffeId: spiffe://cluster.local/ns/default/sa/${name}
  selectors: ["palisade:service:default/${name}"]
  ttl: 1m
---
`;
}

async function applyIn(dataDir: string, namespace: string, yaml: string): Promise<void> {
  const command = palisade('apply', '-f', '-', '-n', namespace, '--data', dataDir);
  const applied = await finish(command, yaml);
  assert.equal(applied.status, 0, applied.stderr + applied.stdout);
}

async function metricsOf(mesh: TestMesh, { name }: Pick<Service, 'name'>): Promise<string> {
  return (await fetch(`${sidecarOf(mesh, name).metricsUrl}/metrics`)).text();
}

async function readiness(
  mesh: TestMesh,
  { name }: Pick<Service, 'name'>,
): Promise<{ readonly status: number; readonly body: string }> {
  const answer = await fetch(`${sidecarOf(mesh, name).metricsUrl}/healthz/ready`);
  return { status: answer.status, body: await answer.text() };
}

/** Where nothing can be mounted (not root) modes bind, so that they serve as well. */
function readOnlyByMode(): Pick<SmallDisk, 'folder' | 'remount' | 'unmount'> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-mode-'));
  const writable = (mode: number) => {
    for (const path of [join(folder, 'ca'), join(folder, 'control'), join(folder, 'agent'), folder])
      chmodSync(path, mode);
  };
  return {
    folder,
    remount: async (mode) => writable(mode === 'ro' ? 0o500 : 0o700),
    async unmount() {
      writable(0o700);
      rmSync(folder, { recursive: true });
    },
  };
}
