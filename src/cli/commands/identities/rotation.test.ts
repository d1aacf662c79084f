// Rotations against a control plane in memory that somebody else uses as well.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { ApiError, layoutOf, rootDigest, rootsIn, type Session } from '#client';
import { createRoot, parseTrustDomain } from '#identity';
import {
  createPolicyKey,
  loadSigner,
  openTrustRoot,
  signNextRoot,
  signTrustRoot,
  type TrustRoot,
} from '#trust';
import { abort, type RotateOptions, rotate } from './rotation.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'palisade-rotation-'));
after(() => rmSync(dataDir, { recursive: true }));
const domain = parseTrustDomain('cluster.local');
assert.ok(domain.ok);
const TD = domain.value;
const key = createPolicyKey();
const logKey = createPolicyKey();
const [signer, logSigner] = [key, logKey].map(({ privateKeyPem }) => {
  const loaded = loadSigner(privateKeyPem);
  assert.ok(loaded.ok);
  return loaded.value;
});
assert.ok(signer !== undefined && logSigner !== undefined);

const DAY_MS = 86_400_000;
function root(bornDaysAgo: number): string {
  const { rootDer } = createRoot({
    trustDomain: TD,
    nowMs: Date.now() - bornDaysAgo * DAY_MS,
    ttlMs: 400 * DAY_MS,
  });
  return Buffer.from(rootDer).toString('base64');
}

const [OLD, NEXT] = [root(100), root(0)];

/** One mesh, which all its administrators share; all enforcement points follow at once. */
function createWorld(next: { certificate: string; replaces?: readonly string[] }) {
  assert.ok(signer !== undefined && logSigner !== undefined);
  const first: TrustRoot = {
    version: 1,
    trustDomain: TD,
    x509Roots: [OLD],
    policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'ann', namespaces: ['*'] }],
    threshold: 1,
    issuanceLogKey: logKey.publicKey,
    issuedAt: new Date(Date.now() - 1_000).toISOString(),
  };
  const world = {
    trustRoot: first,
    /** What somebody else does right before the step that makes this version. */
    meanwhile: new Map<number, readonly string[]>(),
    take(x509Roots: readonly string[]) {
      const { version } = world.trustRoot;
      const issuedAt = new Date().toISOString();
      world.trustRoot = { ...world.trustRoot, version: version + 1, x509Roots, issuedAt };
    },
  };
  const folder = layoutOf(mkdtempSync(join(dataDir, 'mesh-')));
  const envelopeOf = (trustRoot: TrustRoot) => signTrustRoot(trustRoot, [signer]);
  for (const [path, text] of [
    [folder.author.key, key.privateKeyPem],
    [folder.trustRoot, JSON.stringify(envelopeOf(first))],
  ] as const) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const answers: Record<string, (body: unknown) => unknown> = {
    'GET /trust-root': () => envelopeOf(world.trustRoot),
    'POST /authority/next-root': () => {
      const time = new Date().toISOString();
      return { envelope: signNextRoot({ trustDomain: TD, time, ...next }, logSigner) };
    },
    'POST /trust-root': (body) => {
      const opened = openTrustRoot((body as { envelope: unknown }).envelope);
      assert.ok(opened.ok);
      const others = world.meanwhile.get(opened.value.version);
      if (others !== undefined) world.take(others);
      if (opened.value.version !== world.trustRoot.version + 1) {
        const message = `another trust root ${opened.value.version} is pinned`;
        throw new ApiError(422, 'invalid_commit', message);
      }
      world.trustRoot = opened.value;
      return { version: opened.value.version };
    },
    'GET /enforcement-points': () => ({
      items: [
        {
          node: 'agent/one',
          connected: true,
          lastSeen: '',
          trustRootVersion: world.trustRoot.version,
          certificateRoot: rootDigest(world.trustRoot.x509Roots[0] ?? ''),
        },
      ],
      next: null,
    }),
  };
  const api = {
    async call(method: string, path: string, options: { body?: unknown } = {}) {
      const answer = answers[`${method} ${path.split('?')[0]}`];
      assert.ok(answer, `${method} ${path}`);
      return answer(options.body);
    },
  };
  const session = { api, folder, trustRoot: first, settings: {} } as unknown as Session;
  return { world, session };
}

function options() {
  const steps: string[] = [];
  const retired: { since: string; replaced: readonly string[] }[] = [];
  const how: RotateOptions = {
    timeoutMs: 1_000,
    settleMs: 0,
    leaveBehind: false,
    onStep: ({ step }) => steps.push(step),
    onRetired: async (since, replaced) => void retired.push({ since, replaced }),
  };
  return { how, steps, retired };
}

const distributing = rootsIn('distributing', { old: OLD, next: NEXT });
const activating = rootsIn('activating', { old: OLD, next: NEXT });

for (const [name, version, roots] of [
  ['begins it', 2, distributing],
  ['activates', 3, activating],
  ['retires the old root', 4, [NEXT]],
] as const) {
  test(`somebody else ${name} at the same time: one rotation is taken to its end, not two`, async () => {
    const { world, session } = createWorld({ certificate: NEXT });
    world.meanwhile.set(version, roots);
    const { how, retired } = options();
    await rotate(session, how);
    assert.deepEqual(world.trustRoot.x509Roots, [NEXT]);
    assert.equal(world.trustRoot.version, 4);
    assert.equal(retired.length, 1);
  });
}

test('somebody else takes the rotation back at the same time: it is not said to be done', async () => {
  const { world, session } = createWorld({ certificate: NEXT });
  world.meanwhile.set(3, [OLD]);
  const { how, retired } = options();
  await assert.rejects(rotate(session, how), /somebody else took the rotation back/);
  assert.deepEqual(retired, []);
});

test('somebody else goes on while it is taken back: that is said, and nothing goes to and fro', async () => {
  const { world, session } = createWorld({ certificate: NEXT });
  world.take(distributing);
  world.meanwhile.set(3, activating);
  await assert.rejects(abort(session, options().how), /somebody else goes on with the rotation/);
  assert.deepEqual(world.trustRoot.x509Roots, activating);
});

test('below an upstream whose root stays it replaces the intermediate, and says which ones are over', async () => {
  const { world, session } = createWorld({ certificate: OLD, replaces: ['4f0c', '4f0d'] });
  const { how, steps, retired } = options();
  await rotate(session, how);
  assert.deepEqual(steps, ['replace']);
  assert.equal(world.trustRoot.version, 1, 'nobody has to follow anything');
  assert.deepEqual(retired[0]?.replaced, ['4f0c', '4f0d']);
  assert.match(retired[0]?.since ?? '', /\.000Z$/);
});
