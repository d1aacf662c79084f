import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  nothingRevoked,
  parseBundle,
  parseSpiffeId,
  type RevocationCheck,
  type WorkloadIdentity,
} from '#identity';
import { createCell } from '#lib';
import { parseStoredResource, type RegistrationResource } from '#resource';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import { createMessage, X509SvidResponseSchema } from '#wire';
import { requestSvid } from './agent-identity.ts';
import type { CertificateAuthority } from './certificate-authority.ts';
import { createFakeMesh, registration, TRUST_DOMAIN } from './fake-mesh.ts';
import { createSvidSource, type SvidAnswer } from './svid-source.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const HOUR_MS = 3_600_000;
const SELECTORS = ['unix:uid:1000', 'unix:gid:1000'];

test('without registrations the answer is pending, without a match it is denied', async () => {
  const world = await start({ registrations: undefined });
  assert.deepEqual(world.kinds(), ['pending']);
  world.registrations.set([parsed('web', ['unix:uid:7'])]);
  assert.deepEqual(world.kinds(), ['pending', 'denied']);
});

test('attack: a path with a line end in it is not two selectors', async () => {
  const world = await start();
  assert.equal(world.source.entitled(SELECTORS)?.length, 1);
  assert.deepEqual(world.source.entitled(['unix:uid:1000\nunix:gid:1000']), []);
  assert.equal(world.source.entitled(SELECTORS)?.length, 1, 'asked again');
  world.registrations.set([parsed('web', ['unix:uid:7'])]);
  assert.deepEqual(
    world.source.entitled(SELECTORS),
    [],
    'what was known is of other registrations',
  );
});

test('an identity is issued once, shared, and renewed near half of its life', async () => {
  const world = await start();
  await world.scheduler.pass(0);
  assert.deepEqual(world.kinds(), ['pending', 'svids']);
  const shared: SvidAnswer[] = [];
  world.source.watch(SELECTORS, (answer) => shared.push(answer));
  assert.equal(shared[0]?.kind, 'svids');
  assert.equal(world.issued(), 1, 'no second certificate for the same identity');
  await world.scheduler.pass(0.39 * HOUR_MS);
  assert.equal(world.issued(), 1);
  await world.scheduler.pass(0.22 * HOUR_MS);
  assert.equal(world.issued(), 2);
  assert.deepEqual(world.kinds(), ['pending', 'svids', 'svids']);
  assert.equal(shared.length, 2, 'every watcher is told');
});

test('a lost CA: what there is is served until it expires, and asking goes on with back-off', async () => {
  const world = await start();
  await world.scheduler.pass(0);
  world.breakCa(true);
  const attempts: number[] = [];
  await world.scheduler.pass(0.7 * HOUR_MS);
  assert.equal(answerNow(world).kind, 'svids', 'still good');
  const before = world.asked();
  await world.scheduler.pass(60_000);
  attempts.push(world.asked() - before);
  assert.ok(attempts[0] !== undefined && attempts[0] >= 1 && attempts[0] <= 5, `${attempts}`);
  await world.scheduler.pass(HOUR_MS);
  assert.equal(answerNow(world).kind, 'pending', 'an expired identity is served to nobody');
  world.breakCa(false);
  await world.scheduler.pass(31_000);
  assert.equal(answerNow(world).kind, 'svids');
});

test('a CA that refuses for a while: a workload that never had an identity gets one soon after', async () => {
  const world = await start({ withoutAgent: true });
  world.breakCa(true);
  world.agent.set(world.self);
  await world.scheduler.pass(600_000);
  for (let window = 0; window < 12; window++) {
    const before = world.asked();
    await world.scheduler.pass(5_000);
    const asked = world.asked() - before;
    assert.ok(asked >= 1 && asked <= 3, `asked ${asked} times in five seconds`);
  }
  world.breakCa(false);
  await world.scheduler.pass(5_000);
  assert.equal(answerNow(world).kind, 'svids');
});

test('a clock that was set ahead past the expiry is noticed within half a minute', async () => {
  const world = await start();
  await world.scheduler.pass(0);
  world.scheduler.setAhead(2 * HOUR_MS);
  assert.equal(answerNow(world).kind, 'pending', 'what expired is not served');
  await world.scheduler.pass(30_000);
  assert.equal(answerNow(world).kind, 'svids');
});

test('a removed registration takes the identity away at once', async () => {
  const world = await start();
  await world.scheduler.pass(0);
  world.registrations.set([]);
  assert.deepEqual(world.kinds(), ['pending', 'svids', 'denied']);
});

test('without an identity of its own the agent asks when it has one', async () => {
  const world = await start({ withoutAgent: true });
  await world.scheduler.pass(500);
  assert.equal(world.asked(), 0);
  world.agent.set(world.self);
  await world.scheduler.pass(0);
  assert.deepEqual(world.kinds(), ['pending', 'svids']);
});

test('nobody watching: nothing is renewed', async () => {
  const world = await start();
  await world.scheduler.pass(0);
  world.unwatch();
  await world.scheduler.pass(HOUR_MS);
  assert.equal(world.issued(), 1);
  assert.equal(world.scheduler.nextInMs(), undefined);
});

function answerNow(world: Awaited<ReturnType<typeof start>>): SvidAnswer {
  let answer: SvidAnswer = { kind: 'denied' };
  world.source.watch(SELECTORS, (now) => {
    answer = now;
  })();
  return answer;
}

function parsed(name: string, selectors: readonly string[]): RegistrationResource {
  const resource = parseStoredResource(registration(name, selectors));
  assert.ok(resource.ok && resource.value.kind === 'Registration');
  return resource.value;
}

async function start(more: { registrations?: undefined; withoutAgent?: boolean } = {}) {
  const scheduler = createFakeScheduler();
  const { clock } = scheduler;
  const bundle = parseBundle(TRUST_DOMAIN as never, mesh.rootPem);
  assert.ok(bundle.ok);
  const trust = () => ({ bundle: bundle.value, rootsPem: [mesh.rootPem] });
  let isBroken = false;
  let asked = 0;
  let issued = 0;
  const sign = (csr: Uint8Array) => {
    asked++;
    if (isBroken) return Promise.reject(new Error('the CA is down'));
    issued++;
    const leaf = mesh.sign(csr, { nowMs: clock(), ttlMs: HOUR_MS });
    return Promise.resolve(createMessage(X509SvidResponseSchema, { chain: [leaf] }));
  };
  const authority: Pick<CertificateAuthority, 'enrol' | 'issue'> = {
    enrol: (_token, csr) => sign(csr),
    issue: (_as, csr) => sign(csr),
  };
  const id = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/palisade/agent/a`);
  assert.ok(id.ok);
  const self = await requestSvid({ id: id.value, trust, clock, request: ({ csr }) => sign(csr) });
  assert.ok(self.ok, self.ok ? '' : self.error);
  asked = 0;
  issued = 0;
  const agent = createCell<WorkloadIdentity | undefined>(
    more.withoutAgent ? undefined : self.value,
  );
  const registrations = createCell<readonly RegistrationResource[] | undefined>(
    'registrations' in more ? undefined : [parsed('web', ['unix:uid:1000'])],
  );
  const source = createSvidSource({
    agent,
    registrations,
    authority,
    revocations: createCell<RevocationCheck>(nothingRevoked),
    trust,
    clock,
    random: () => 0.5,
    scheduler,
    log: createSilentLog(),
  });
  const answers: SvidAnswer[] = [];
  const unwatch = source.watch(SELECTORS, (answer) => answers.push(answer));
  return {
    source,
    scheduler,
    agent,
    self: self.value,
    registrations,
    unwatch,
    kinds: () => answers.map((answer) => answer.kind),
    asked: () => asked,
    issued: () => issued,
    breakCa(value: boolean) {
      isBroken = value;
    },
  };
}
