// Clocks that step by an hour and back under a mesh at work, one process at a time: libfaketime (Debian's `faketime`) moves
// the clock of a running process. What is expected of each stands in docs/reference/clocks.md.
import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  createKeyPair,
  createSigningKey,
  derToPem,
  issueX509Svid,
  loadIssuer,
  parseSpiffeId,
} from '#identity';
import { allow } from './allow.ts';
import { answering } from './applications.ts';
import { curlFrom, type Service, sidecarOf, type TestMesh } from './mesh.ts';
import { type MeshPart, type MeshParts, prepareParts } from './mesh-parts.ts';
import { until, untilStatus } from './until.ts';

const AHEAD = '+3600';
const BACK = '-3600';
const HOUR = 3_600_000;
const library = readdirSync('/usr/lib')
  .map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));
const skip = library === undefined ? "needs Debian's faketime" : false;

type Clock = MeshPart | 'caller' | 'server';

describe('clock steps of an hour', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-clocks-'));
  let parts: MeshParts;
  let mesh: TestMesh;
  let caller: Service;
  let server: Service;
  const step = (whose: Clock, by: string) => writeFileSync(join(folder, whose), by);

  /** Starts what `work` starts under a clock of its own. */
  async function under<T>(whose: Clock, work: () => Promise<T>): Promise<T> {
    step(whose, '+0');
    const env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: join(folder, whose),
      FAKETIME_NO_CACHE: '1',
      // Timers go by the monotonic clock, which nobody sets.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
    Object.assign(process.env, env);
    // A child is started, with the environment of this moment, before anything is waited for.
    const started = work();
    for (const name of Object.keys(env)) delete process.env[name];
    return started;
  }

  before(async () => {
    parts = await prepareParts();
    for (const part of ['ca', 'control', 'agent'] as const) {
      await under(part, () => parts.start(part));
    }
    mesh = parts.mesh();
    await mesh.apply(POLICY);
    server = await under('server', () => mesh.run('server', answering("s.end('ok')")));
    caller = await under('caller', () => mesh.run('caller', ['sleep', '600']));
    await until('it works', async () => (await call()) === 200);
  });
  after(async () => {
    await mesh?.close();
    await parts?.close();
    if (parts !== undefined) rmSync(parts.dataDir, { recursive: true, force: true });
    rmSync(folder, { recursive: true });
  });

  const call = async () => (await curlFrom(caller, 'http://server/')).status;
  const alive = () => {
    for (const [name, { child }] of parts.running) assert.equal(child.exitCode, null, name);
    for (const { name, run } of [caller, server]) assert.equal(run.child.exitCode, null, name);
  };

  for (const whose of ['caller', 'server'] as const) {
    test(`the ${whose}’s sidecar an hour ahead takes certificates for expired, and says so; set right, it works`, async () => {
      step(whose, AHEAD);
      await until('it refuses', async () => (await call()) >= 400);
      const { ready, reason } = await healthOf(mesh, whose);
      assert.equal(ready, 503);
      assert.match(reason, /expired|certificate|identity/);
      step(whose, '+0');
      await until('it works again', async () => (await call()) === 200);
      alive();
    });

    test(`the ${whose}’s sidecar an hour back goes on as before`, async () => {
      step(whose, BACK);
      for (let i = 0; i < 5; i++) assert.equal(await call(), 200);
      if (whose === 'server') {
        const expired = certificateOf(mesh, { from: -2 * HOUR, to: -HOUR / 2 });
        assert.equal(await callWith(server, expired), 403, 'what has expired stays so');
        const valid = certificateOf(mesh, { from: -2 * HOUR, to: HOUR / 2 });
        assert.equal(await callWith(server, valid), 200, 'by the same way');
      }
      step(whose, '+0');
      assert.equal(await call(), 200);
      alive();
    });
  }

  for (const whose of ['agent', 'ca', 'control'] as const) {
    for (const by of [AHEAD, BACK]) {
      test(`${whose} by ${by} s: calls go on, and all is well afterwards without a restart`, async () => {
        step(whose, by);
        for (let i = 0; i < 3; i++) assert.equal(await call(), 200);
        const newcomer = NEWCOMERS[`${whose} ${by}`];
        if (newcomer !== undefined) await welcome(newcomer, () => step(whose, '+0'));
        step(whose, '+0');
        assert.equal(await call(), 200);
        alive();
        await untilStatus(0, () => mesh.cli('status', '--wait', '--timeout', '10s'));
      });
    }
  }

  /** A service that starts while a clock is wrong: it is let in at once, or once the clock is right, and the agent says why. */
  async function welcome({ name, waits }: Newcomer, setRight: () => void): Promise<void> {
    const said = parts.running.get('agent')?.output().length ?? 0;
    const starting = mesh.run(name, ['sleep', '600']);
    if (waits !== undefined) {
      const says = () => (parts.running.get('agent')?.output() ?? '').slice(said);
      await until(`${name}: ${waits}`, () => waits.test(says()));
      setRight();
    }
    const newcomer = await starting;
    assert.equal((await curlFrom(newcomer, 'http://server/')).status, 403, 'nothing allows it');
  }

  test('every record is there once, whatever clock dated it', async () => {
    // Within an hour each way, so that what a wrong clock dated is among it.
    const listed = await mesh.cli('log', '-o', 'json', '--since', '3h', '--to', 'server');
    const records = listed.stdout.split('\n').filter((line) => line.startsWith('{'));
    const seqs = records
      .map((line) => JSON.parse(line) as { seq: number; node: string; reporter: string })
      .filter(({ reporter }) => reporter === 'destination')
      .map(({ seq }) => seq)
      .toSorted((a, b) => a - b);
    assert.ok(seqs.length > 30, `${seqs.length} records`);
    assert.deepEqual(
      seqs,
      Array.from({ length: seqs.length }, (_, i) => (seqs[0] ?? 0) + i),
      'no number is missing, none is there twice',
    );
  });
});

type Newcomer = { readonly name: string; readonly waits?: RegExp };

// By an agent that is ahead, what is issued now has expired; what an authority that is ahead issues is not valid yet.
const NEWCOMERS: Readonly<Record<string, Newcomer | undefined>> = {
  [`agent ${AHEAD}`]: { name: 'hasty', waits: /expired/ },
  [`agent ${BACK}`]: { name: 'calm' },
  [`ca ${AHEAD}`]: { name: 'early', waits: /is a clock wrong/ },
  [`ca ${BACK}`]: { name: 'steady' },
};

const POLICY = `
apiVersion: palisade.dev/v1
kind: Mesh
metadata: { name: mesh, namespace: palisade-system }
spec: {}
${allow('server', 'caller')}`;

/** Readiness of a sidecar: the status, and its words. */
async function healthOf(of: TestMesh, service: string): Promise<{ ready: number; reason: string }> {
  const answer = await fetch(`${sidecarOf(of, service).metricsUrl}/healthz/ready`);
  return { ready: answer.status, reason: await answer.text() };
}

/** A certificate of the caller's identity by the authority's own key, valid from and to so many ms from now. */
function certificateOf({ dataDir }: TestMesh, { from, to }: { from: number; to: number }) {
  const file = (name: string) => readFileSync(join(dataDir, 'ca', name), 'utf8');
  const signer = createSigningKey(createPrivateKey(file('ca.key')));
  const issuer = signer && loadIssuer(file('ca.crt'), signer);
  const id = parseSpiffeId('spiffe://cluster.local/ns/default/sa/caller');
  assert.ok(issuer?.ok === true && id.ok);
  const { privateKey, publicKey } = createKeyPair();
  const cert = issueX509Svid({
    issuer: issuer.value,
    id: id.value,
    publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
    serial: Buffer.from(`01${randomBytes(15).toString('hex')}`, 'hex'),
    notBefore: Date.now() + from,
    expiresAt: Date.now() + to,
  });
  return {
    cert: derToPem(cert),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** The status of a call straight to the sidecar with this certificate; 0 where there is no answer. */
function callWith(to: Service, identity: { cert: string; key: string }): Promise<number> {
  return new Promise((resolve) => {
    const about = { ...identity, rejectUnauthorized: false, minVersion: 'TLSv1.3' as const };
    const asked = request(
      { host: '127.0.0.1', port: to.ports.inboundPort, headers: { host: 'server' }, ...about },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    asked.on('error', () => resolve(0));
    asked.end();
  });
}
