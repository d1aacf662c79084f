// A real TLS endpoint of a foreign trust domain, a fake clock, and policy that comes and goes.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  createKeyPair,
  createRoot,
  derToPem,
  encodeSpiffeBundle,
  issueX509Svid,
  jwtKeyOf,
  parseBundle,
  parseSpiffeId,
  parseTrustDomain,
} from '#identity';
import { createCell } from '#lib';
import type { TrustDomainFederationSpec } from '#resource';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import { createFederation } from './federation.ts';
import { fetchBundle } from './fetch-bundle.ts';
import { standingProblem } from './foreign-standing.ts';
import { openStateFolder } from './state-folder.ts';

const HOUR_MS = 3_600_000;
const base = mkdtempSync(join(tmpdir(), 'palisade-federation-'));
after(() => rmSync(base, { recursive: true }));
let folders = 0;

/** A trust domain's authority, its bundle document, and server certificates for any ID. */
function authority(name: string) {
  const trustDomain = parseTrustDomain(name);
  assert.ok(trustDomain.ok);
  const root = createRoot({ trustDomain: trustDomain.value, nowMs: Date.now(), ttlMs: HOUR_MS });
  const jwt = jwtKeyOf(createKeyPair().publicKey);
  const bundle = parseBundle(trustDomain.value, root.certificatePem);
  assert.ok(bundle.ok);
  return {
    name,
    trustDomain: trustDomain.value,
    bundle: bundle.value,
    document: (sequence: number, refreshHintSeconds = 60) =>
      encodeSpiffeBundle({
        x509Roots: [root.certificateDer],
        jwtKeys: [jwt],
        sequence,
        refreshHintSeconds,
      }),
    server(path: string) {
      const id = parseSpiffeId(`spiffe://${name}${path}`);
      assert.ok(id.ok);
      const { privateKey, publicKey } = createKeyPair();
      const serial = randomBytes(16);
      serial[0] = 1;
      const der = issueX509Svid({
        issuer: root,
        id: id.value,
        publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
        serial,
        notBefore: Date.now() - 1000,
        expiresAt: Date.now() + HOUR_MS,
        dnsNames: ['localhost'],
      });
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      return { cert: derToPem(der), key };
    },
    rootPem: root.certificatePem,
  };
}

type Answer = { status?: number; body?: string; headers?: Record<string, string> };

/** An HTTPS server that answers as `answer` says. */
async function endpoint(tls: { cert: string; key: string }) {
  const served = { answer: {} as Answer, requests: 0 };
  const server = createServer({ ...tls, minVersion: 'TLSv1.2' }, (_request, response) => {
    served.requests++;
    const { status = 200, body = '', headers = {} } = served.answer;
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return Object.assign(served, { url: `https://localhost:${port}/bundle` });
}

const own = authority('example.org');
const partner = authority('partner.org');
const evil = authority('evil.org');

function spec(of: { url?: string; id?: string; bundle?: string; name?: string }) {
  const { url, id, bundle, name = partner.name } = of;
  const type = id === undefined ? 'https_web' : 'https_spiffe';
  const profile = { type, ...(id && { endpointSPIFFEID: id }) } as const;
  return {
    trustDomain: name,
    ...(url && { bundleEndpointURL: url, bundleEndpointProfile: profile }),
    ...(bundle && { trustDomainBundle: bundle }),
  } satisfies TrustDomainFederationSpec;
}

function start(specs: readonly TrustDomainFederationSpec[], folder = join(base, `${++folders}`)) {
  const scheduler = createFakeScheduler();
  const wanted = createCell<readonly TrustDomainFederationSpec[] | undefined>(specs);
  let asked = Promise.resolve();
  const federation = createFederation({
    wanted,
    own: () => own.bundle,
    folder: openStateFolder(folder),
    fetch(question) {
      const answer = fetchBundle(question);
      asked = answer.then(() => new Promise((resolve) => setImmediate(resolve)));
      return answer;
    },
    extraWebRoots: [partner.rootPem],
    clock: Date.now,
    random: () => 0.5,
    scheduler,
    log: createSilentLog(),
  });
  return {
    folder,
    wanted,
    federation,
    /** Lets time pass and every request of it end. */
    async pass(ms: number) {
      await scheduler.pass(ms);
      await asked;
      await federation.saved();
    },
    nextInMs: scheduler.nextInMs,
    held: () =>
      federation.current().map(({ trustDomain, sequence }) => `${trustDomain}@${sequence}`),
  };
}

const PARTNER_ID = 'spiffe://partner.org/bundle';

test('a bundle is fetched at once and again on its hint; what is older is refused; it is kept over a restart', async () => {
  const served = await endpoint(partner.server('/bundle'));
  served.answer = { body: partner.document(5, 60) };
  const world = start([spec({ url: served.url, id: PARTNER_ID, bundle: partner.document(1) })]);
  assert.deepEqual(world.held(), ['partner.org@1']);
  await world.pass(0);
  assert.deepEqual(world.held(), ['partner.org@5']);
  assert.equal(world.nextInMs(), 60_000);
  served.answer = { body: partner.document(4) };
  await world.pass(60_000);
  assert.deepEqual(world.held(), ['partner.org@5']);
  served.answer = { body: partner.document(6, 0) };
  await world.pass(60_000);
  assert.deepEqual(world.held(), ['partner.org@6']);
  assert.equal(world.nextInMs(), 10_000, 'a hint without sense is kept within bounds');
  world.federation.close();
  const again = start(world.wanted.current() ?? [], world.folder);
  assert.deepEqual(again.held(), ['partner.org@6']);
  again.federation.close();
  const changed = [spec({ url: served.url, id: PARTNER_ID, bundle: partner.document(2) })];
  const renewed = start(changed, world.folder);
  assert.deepEqual(renewed.held(), ['partner.org@2'], 'a new first bundle is a new beginning');
  renewed.federation.close();
});

test('the profile https_web asks for the host name; without any bundle the endpoint is asked soon again', async () => {
  const served = await endpoint(partner.server('/bundle'));
  served.answer = { status: 503 };
  const world = start([spec({ url: served.url })]);
  await world.pass(0);
  assert.deepEqual(world.held(), []);
  assert.equal(world.nextInMs(), 10_000);
  served.answer = { body: partner.document(3) };
  await world.pass(10_000);
  assert.deepEqual(world.held(), ['partner.org@3']);
  world.federation.close();
});

test('how it stands: wanted in vain, fetched, an endpoint that falls silent, and over a restart', async () => {
  const served = await endpoint(partner.server('/bundle'));
  served.answer = { status: 503 };
  const world = start([spec({ url: served.url })]);
  const began = Date.now();
  await world.pass(0);
  const [missing] = world.federation.standings();
  assert.ok(missing?.missingSince !== undefined && missing.missingSince <= began);
  assert.match(missing.problem ?? '', /503/);
  assert.match(
    standingProblem([missing], began) ?? '',
    /^no bundle of `partner\.org` is known: .*503/,
  );

  served.answer = { body: partner.document(3, 60) };
  await world.pass(10_000);
  const [good] = world.federation.standings();
  assert.ok(good?.refreshedAt !== undefined && good.refreshedAt >= began);
  assert.deepEqual([good.missingSince, good.problem, good.everyMs], [undefined, undefined, 60_000]);
  const { validity } = good;
  assert.equal(validity?.expiresAt, partner.bundle.x509Roots[0]?.validToDate.getTime());
  assert.equal(standingProblem([good], began), undefined);
  const end = validity?.expiresAt ?? 0;
  assert.match(standingProblem([good], end - 60_000) ?? '', /bundle of `partner\.org` ends at/);
  assert.match(standingProblem([good], end + 1) ?? '', /ended at/);

  served.answer = { status: 503 };
  await world.pass(60_000);
  const [silent] = world.federation.standings();
  assert.equal(silent?.refreshedAt, good.refreshedAt, 'as long ago as it is');
  assert.match(silent?.problem ?? '', /503/);
  world.federation.close();
  const again = start(world.wanted.current() ?? [], world.folder);
  assert.equal(again.federation.standings()[0]?.refreshedAt, good.refreshedAt);
  again.federation.close();
  const fixed = start([spec({ bundle: partner.document(1) })]);
  assert.equal(fixed.federation.standings()[0]?.everyMs, undefined, 'nobody is asked for it');
  fixed.federation.close();
});

test('policy that names a trust domain no more ends it, on disk too; one of ours is never foreign', async () => {
  const served = await endpoint(partner.server('/bundle'));
  served.answer = { body: partner.document(5) };
  const relation = spec({ url: served.url, id: PARTNER_ID, bundle: partner.document(1) });
  const world = start([relation, spec({ name: own.name, bundle: evil.document(1) })]);
  await world.pass(0);
  assert.deepEqual(world.held(), ['partner.org@5']);
  world.wanted.set([]);
  assert.deepEqual(world.held(), []);
  await world.pass(600_000);
  assert.equal(served.requests, 1);
  const file = join(world.folder, 'federation', 'td-partner.org.json');
  await world.federation.saved();
  assert.equal(existsSync(file), false);
  world.wanted.set([relation]);
  assert.deepEqual(world.held(), ['partner.org@1']);
  world.federation.close();
});

describe('attack: endpoints that are not who they should be, or answer nonsense', () => {
  const ask = (url: string, spiffeId: string | undefined, extraRoots = [partner.rootPem]) =>
    fetchBundle({
      url,
      trustDomain: partner.trustDomain,
      proof:
        spiffeId === undefined
          ? { kind: 'web', extraRoots }
          : { kind: 'spiffe', spiffeId, bundle: partner.bundle },
      clock: Date.now,
      timeoutMs: 2_000,
    });

  test('a neighbour, another identity of the trust domain, and an unknown authority', async () => {
    const neighbour = await endpoint(evil.server('/bundle'));
    neighbour.answer = { body: partner.document(9) };
    const another = await endpoint(partner.server('/other'));
    another.answer = { body: partner.document(9) };
    for (const { url } of [neighbour, another]) {
      const answer = await ask(url, PARTNER_ID);
      assert.equal(answer.ok, false);
    }
    assert.equal((await ask(neighbour.url, undefined)).ok, false);
    assert.equal((await ask(another.url.replace('localhost', '127.0.0.1'), undefined)).ok, false);
    assert.deepEqual([neighbour.requests, another.requests], [0, 0], 'nothing was even asked');
  });

  test('answers that are none', async () => {
    const served = await endpoint(partner.server('/bundle'));
    const other = await endpoint(partner.server('/bundle'));
    const cases: [Answer, RegExp][] = [
      [{ body: 'no json' }, /JSON/],
      [{ body: '{"keys":[]}' }, /no key/],
      [{ status: 404, body: partner.document(1) }, /404/],
      [{ body: ' '.repeat(1_100_000) }, /bytes/],
      [{ status: 302, headers: { location: 'http://localhost/' } }, /redirects to/],
      [{ status: 302, headers: { location: 'https://u:p@localhost/' } }, /redirects to/],
      [{ status: 302, headers: { location: '/again' } }, /more than 3/],
    ];
    for (const [answer, reason] of cases) {
      served.answer = answer;
      const fetched = await ask(served.url, PARTNER_ID);
      assert.ok(!fetched.ok && reason.test(fetched.error), JSON.stringify(fetched));
    }
    other.answer = { body: partner.document(2) };
    served.answer = { status: 307, headers: { location: other.url } };
    const followed = await ask(served.url, PARTNER_ID);
    assert.ok(followed.ok && followed.value.bundle.sequence === 2);
  });

  test('one that never answers', async () => {
    const silent = await endpoint(partner.server('/bundle'));
    silent.answer = { body: '', headers: { 'content-length': '10' } };
    const fetched = await fetchBundle({
      url: silent.url,
      trustDomain: partner.trustDomain,
      proof: { kind: 'spiffe', spiffeId: PARTNER_ID, bundle: partner.bundle },
      clock: Date.now,
      timeoutMs: 300,
    });
    assert.equal(fetched.ok, false);
  });
});
