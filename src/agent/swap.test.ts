import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ok } from '#lib';
import { createSilentLog } from '#telemetry';
import { applyUpdate, encodeAnswer, encodeUpdate, proveResource } from '#trust';
import { createMessage, SubscribeResponseSchema } from '#wire';
import { createFakeMesh, service, signSet } from './fake-mesh.ts';
import { openPolicyFiles } from './policy-files.ts';
import { createRefusals } from './refusals.ts';
import { openStateFolder } from './state-folder.ts';
import { type Compiled, createSwap } from './swap.ts';
import { x509TrustOf } from './trusted-root.ts';
import type { VerifiedPolicy } from './verify.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const one = signSet(mesh, [service('web')]);
const two = signSet(mesh, [service('web'), service('cart')], { parent: one });
const bank = signSet(mesh, [service('vault', 'bank')], { namespace: 'bank' });
let folders = 0;

test('attack: any bytes in any message change nothing and never throw', async () => {
  const { swap } = await start();
  await receive(swap, { case: 'policySet', value: encodeUpdate(one) });
  const before = swap.snapshots.current();
  const good = encodeUpdate(two);
  const bytes = fc.uint8Array({ maxLength: 200 });
  const commit = fc.oneof(
    bytes,
    fc.nat().map((at) => flipped(good.commits[0], at)),
  );
  const change = fc.record({
    key: fc.oneof(fc.string(), fc.constantFrom('Service/web', '__proto__', 'Service/cart')),
    resource: fc.oneof(
      bytes,
      fc.nat().map((at) => flipped(good.changes[0]?.resource, at)),
    ),
  });
  const policySet = fc.record({
    namespace: fc.constantFrom('shop', 'bank', '', '../x'),
    commits: fc.array(commit, { maxLength: 3 }),
    full: fc.boolean(),
    changes: fc.array(change, { maxLength: 4 }),
  });
  const lookup = fc.record({
    namespace: fc.constantFrom('bank', 'shop', ''),
    kind: fc.constantFrom('Service', 'Mesh', ''),
    name: fc.string(),
    commit: bytes,
    resource: bytes,
    proof: bytes,
  });
  const message = fc.oneof(
    policySet.map((value) => ({ case: 'policySet', value })),
    lookup.map((value) => ({ case: 'lookup', value })),
    bytes.map((envelope) => ({ case: 'trustRoot', value: { envelope } })),
  );
  await fc.assert(
    fc.asyncProperty(message, async (each) => {
      await receive(swap, each);
      assert.equal(swap.snapshots.current(), before);
      assert.ok(swap.refused().length <= 50, 'what is told stays bounded');
    }),
    { numRuns: 300 },
  );
  await receive(swap, { case: 'policySet', value: good });
  assert.notEqual(swap.snapshots.current(), before, 'a good one is still taken');
});

test('a full disk keeps no newer policy from being enforced', async () => {
  const { swap, files } = await start({ isDiskFull: true });
  await receive(swap, { case: 'policySet', value: encodeUpdate(one) });
  assert.equal(swap.enforced()[0]?.number, 1n);
  assert.equal(files.attempts, 1);
});

test('an answer that did not change compiles nothing, one that did does', async () => {
  const { swap, compiled } = await start();
  const verified = applyUpdate(undefined, bank, mesh.trustRoot, Date.now());
  assert.ok(verified.ok);
  const answerOf = (set: typeof verified.value) => ({
    case: 'lookup',
    value: {
      namespace: 'bank',
      kind: 'Service',
      name: 'vault',
      ...encodeAnswer(proveResource(set, 'Service/vault')),
    },
  });
  await receive(swap, answerOf(verified.value));
  assert.equal(compiled(), 1);
  const more = signSet(mesh, [service('vault', 'bank'), service('safe', 'bank')], {
    namespace: 'bank',
    parent: bank,
  });
  const next = applyUpdate(verified.value, more, mesh.trustRoot, Date.now());
  assert.ok(next.ok);
  await receive(swap, answerOf(next.value));
  assert.equal(compiled(), 1);
  assert.equal(swap.current().lookups.get('bank/Service/vault')?.number, 2);
  await receive(swap, answerOf(verified.value));
  assert.equal(swap.refused()[0]?.code, 'version_rollback', 'and the older one is refused now');
});

type Counted = Compiled & { readonly services: number };

async function start(more: { isDiskFull?: boolean } = {}) {
  const folder = openStateFolder(join(mesh.folder, `swap-${++folders}`));
  const log = createSilentLog();
  const opened = await openPolicyFiles({ folder, trustRootFile: mesh.trustRootFile, log });
  assert.ok(opened.ok);
  const policy = opened.value.load(Date.now());
  const trust = x509TrustOf(policy.trustRoot);
  assert.ok(trust.ok);
  let compilations = 0;
  const files = { attempts: 0 };
  const swap = createSwap<Counted>({
    policy,
    trust: trust.value,
    files: {
      ...opened.value,
      saveSet(set) {
        files.attempts++;
        return more.isDiskFull === true
          ? Promise.reject(new Error('ENOSPC'))
          : opened.value.saveSet(set);
      },
    },
    refusals: createRefusals(),
    compile(candidate: VerifiedPolicy) {
      compilations++;
      const heads = Array.from(candidate.sets.values(), ({ namespace, head }) => [namespace, head]);
      return ok({ versions: Object.fromEntries(heads), services: candidate.lookups.size });
    },
    required: [],
    isWanted: (namespace) => namespace === 'shop',
    clock: Date.now,
    log,
  });
  return { swap, files, compiled: () => compilations };
}

function receive(swap: Awaited<ReturnType<typeof start>>['swap'], message: object): Promise<void> {
  return swap.receive(
    createMessage(SubscribeResponseSchema, { message: message as never }).message,
  );
}

/** Good bytes with one bit turned. */
function flipped(bytes: Uint8Array | undefined, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes ?? [0]);
  const index = at % copy.length;
  copy[index] = (copy[index] ?? 0) ^ (1 << (at % 8));
  return copy;
}
