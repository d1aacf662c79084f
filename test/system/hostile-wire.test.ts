// A hostile control plane, second form: an attacker with its certificate sits on the wire and changes, withholds,
// reorders, mixes, replays and forges what the agents and sidecars of a host are sent. None of them enforces any of it,
// and their acknowledgements name what they refused.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { layoutOf, readTrustRoot } from '#client';
import {
  canonicalJson,
  createCommit,
  createPolicyKey,
  encodeEnvelope,
  loadSigner,
  signTrustRoot,
  type VerifiedHead,
} from '#trust';
import {
  createMessage,
  LookupResultSchema,
  type PolicySetUpdate,
  PolicySetUpdateSchema,
  ResourceChangeSchema,
  ServiceEndpointsSchema,
  TrustRootUpdateSchema,
} from '#wire';
import { answering } from './applications.ts';
import {
  allowPolicy,
  assertVerdicts,
  type Guarded,
  pointsOf,
  startGuarded,
} from './guarded-service.ts';
import {
  type HostileControl,
  type Kept,
  payloadOf,
  startHostileControl,
  type Tamper,
} from './hostile-distribution.ts';
import { curlFrom, finish, palisade, start } from './mesh.ts';
import { type MeshParts, prepareParts } from './mesh-parts.ts';
import { until, untilStatus } from './until.ts';

/** What is made of an update of `default`; `kept` are its states so far, this one included where the agent came first. */
type Change = (update: PolicySetUpdate, attacker: Attacker) => PolicySetUpdate;
type Attacker = {
  /** The state that is enforced, and the one it replaced. */
  readonly before: Kept;
  readonly previous: Kept;
  readonly oldest: Kept;
  readonly root: Kept;
};

const ATTACKS: readonly (readonly [name: string, code: string, change: Change])[] = [
  ['drops a change', 'root_mismatch', (update) => ({ ...update, changes: [] })],
  [
    'edits a resource',
    'root_mismatch',
    (update) => edited(update, (text) => text.replaceAll('sa/stranger', 'sa/intruder')),
  ],
  [
    'edits a resource so that everybody may call',
    'root_mismatch',
    (update) => edited(update, (text) => text.replace(/"rules":\[.*\]/, '"rules":[{}]')),
  ],
  [
    'adds a resource of its own',
    'root_mismatch',
    (update) => ({ ...update, changes: [...update.changes, change('open', OPEN)] }),
  ],
  [
    'deletes the policy that denies along with it',
    'root_mismatch',
    (update) => ({
      ...update,
      changes: [...update.changes, change('server-secret', undefined)],
    }),
  ],
  [
    'reorders commits',
    'gap',
    (update, { before }) => ({
      ...update,
      commits: [...update.commits, Buffer.from(before.commit)],
    }),
  ],
  [
    'sends another namespace’s commit',
    'wrong_namespace',
    (update, { root }) => ({ ...update, commits: [Buffer.from(root.commit)] }),
  ],
  [
    'mixes another namespace’s resource in',
    'wrong_namespace',
    (update, { root }) => ({
      ...update,
      changes: [...update.changes, ...changesOf(root.resources)],
    }),
  ],
  [
    'replays the oldest set, which allowed everyone',
    'version_rollback',
    (update, { oldest }) => whole(update, oldest),
  ],
  ['replays the set before', 'version_rollback', (update, { previous }) => whole(update, previous)],
  [
    'sends the newest commit with the resources of an old one',
    'root_mismatch',
    (update, { oldest }) => ({ ...update, full: true, changes: changesOf(oldest.resources) }),
  ],
  ['strips the signatures', 'signature_threshold', (update) => signedBy(update, () => [])],
  [
    'renames the signer',
    'signature_threshold',
    (update) => signedBy(update, ([first]) => [{ keyid: ATTACKER.keyId, sig: first?.sig ?? '' }]),
  ],
  [
    'forges a commit with a key of its own',
    'signature_threshold',
    (update, attacker) => forged(update, attacker),
  ],
  [
    'forges a commit in the name of the author’s key',
    'signature_threshold',
    (update, attacker) => {
      const author = signaturesOf(update.commits.at(-1))[0]?.keyid ?? '';
      return signedBy(forged(update, attacker), (own) =>
        own.map((each) => ({ ...each, keyid: author })),
      );
    },
  ],
  [
    'sends bytes that are no commit',
    'malformed',
    (update) => ({ ...update, commits: [Buffer.from('{"payload":')] }),
  ],
];

describe('a hostile control plane on the wire', () => {
  let parts: MeshParts;
  let hostile: HostileControl;
  let guarded: Guarded;
  let round = 0;

  before(async () => {
    parts = await prepareParts();
    await parts.start('ca');
    await parts.start('control');
    hostile = await startHostileControl({ ...parts, honest: parts.grpc });
    parts.configure({ grpc: hostile.address });
    await parts.start('agent');
    const mesh = parts.mesh();
    await applyIn(parts.dataDir, 'palisade-system', MESH);
    guarded = await startGuarded(mesh);
  });
  after(async () => {
    await guarded?.mesh.close();
    await parts.close();
    await hostile.close();
  });

  /** A change that lets the stranger in at a path of this round, sent through whatever `hostile` does. */
  async function applyCanary(): Promise<string> {
    round += 1;
    await applyIn(parts.dataDir, 'default', canary(round));
    return `http://server/canary/${round}`;
  }

  async function heal(): Promise<void> {
    hostile.tamper(undefined);
    hostile.dropStreams();
    const status = await guarded.mesh.cli('status', '--wait', '--timeout', '30s');
    assert.equal(status.status, 0, status.stdout);
    await assertVerdicts(guarded, 'after the honest stream came back');
  }

  for (const [name, code, change] of ATTACKS) {
    test(`${name}: refused as ${code}`, async () => {
      const kept = [...hostile.kept('default')];
      const attacker = {
        before: nonEmpty(kept.at(-1)),
        previous: nonEmpty(kept.at(-2)),
        oldest: nonEmpty(kept.find(({ resources }) => resources.has(POLICY))),
        root: nonEmpty(hostile.kept('palisade-system').at(-1)),
      };
      hostile.tamper((message) => {
        if (message.case !== 'policySet' || message.value.namespace !== 'default') return [message];
        const value = createMessage(PolicySetUpdateSchema, change(message.value, attacker));
        return [{ case: 'policySet', value }];
      });
      const url = await applyCanary();
      const points = await until('everybody refuses', () => refusingPoints(guarded));
      for (const { node, codes } of points) assert.deepEqual(codes, [code], node);
      assert.equal((await curlFrom(guarded.stranger, url)).status, 403);
      await assertVerdicts(guarded, 'while it is refused');
      await heal();
      assert.equal((await curlFrom(guarded.stranger, url)).status, 200);
    });
  }

  test('withholds a change, then goes on: stale, a gap, and mended by itself', async () => {
    hostile.tamper((message) => (message.case === 'policySet' ? [] : [message]));
    const first = await applyCanary();
    const stale = await until('all are stale', async () => {
      const points = (await pointsOf(guarded.mesh)).filter(isSidecar);
      return points.every((point) => point.stale) && points;
    });
    for (const { reason } of stale) assert.match(reason, /enforces version \d+ of default instead/);
    assert.equal((await curlFrom(guarded.stranger, first)).status, 403);
    await assertVerdicts(guarded, 'while news are withheld');
    hostile.takeRefusals();
    hostile.tamper(undefined);
    const second = await applyCanary();
    await untilStatus(200, () => curlFrom(guarded.stranger, second));
    assert.deepEqual([...hostile.takeRefusals()], ['gap']);
    await heal();
  });

  test('offers a trust root with its own key: refused', async () => {
    const root = readTrustRoot(layoutOf(parts.dataDir));
    assert.ok(root.ok);
    const keys = [{ ...ATTACKER, name: 'attacker', namespaces: ['*'] }].map(
      ({ keyId, publicKey, name, namespaces }) => ({ keyId, publicKey, name, namespaces }),
    );
    const next = { ...root.value, version: root.value.version + 1, policyKeys: keys };
    const envelope = encodeEnvelope(signTrustRoot(next, [ATTACKER_SIGNER]));
    const offer = createMessage(TrustRootUpdateSchema, { envelope });
    hostile.tamper((message, node) =>
      message.case === 'policySet'
        ? [{ case: 'trustRoot', value: offer }, ...forgedAfter(message.value, node)]
        : [message],
    );
    const url = await applyCanary();
    const points = await until('everybody refuses', () => refusingPoints(guarded));
    for (const { node, codes } of points) {
      assert.ok(
        codes.includes('trust_root_invalid') || codes.includes('signature_threshold'),
        node,
      );
    }
    assert.equal((await curlFrom(guarded.stranger, url)).status, 403);
    await assertVerdicts(guarded, 'under the same trust root');
    await heal();
  });

  /** The forged commit that the attacker's own trust root would make good. */
  function forgedAfter(update: PolicySetUpdate, _node: string): ReturnType<Tamper> {
    if (update.namespace !== 'default') return [{ case: 'policySet', value: update }];
    const before = nonEmpty(hostile.kept('default').at(-1));
    const value = createMessage(
      PolicySetUpdateSchema,
      forged(update, { before, previous: before, oldest: before, root: before }),
    );
    return [{ case: 'policySet', value }];
  }

  test('gives a stranger’s address for a service: not talked to', async () => {
    const { client, stranger } = guarded;
    hostile.tamper((message) => {
      if (message.case !== 'endpoints' || message.value.service !== 'server') return [message];
      const endpoints = message.value.endpoints.map((each) => ({
        ...each,
        port: stranger.ports.inboundPort,
        hbonePort: stranger.ports.hbonePort,
      }));
      return [
        {
          case: 'endpoints',
          value: createMessage(ServiceEndpointsSchema, { ...message.value, endpoints }),
        },
      ];
    });
    hostile.dropStreams();
    const answer = await until('a failure', async () => {
      const got = await curlFrom(client, 'http://server/open');
      return got.status !== 200 && got;
    });
    assert.equal(answer.status, 503);
    assert.match(answer.headers, /x-palisade-reason: upstream_identity_mismatch/);
    hostile.tamper(undefined);
    hostile.dropStreams();
    await untilStatus(200, () => curlFrom(client, 'http://server/open'));
    await heal();
  });

  test('shows a newcomer only half of the policy: it serves nothing before it has all', async () => {
    hostile.tamper((message, node) => {
      const isRoot = message.case === 'policySet' && message.value.namespace === 'palisade-system';
      return isRoot && node.startsWith('default/newcomer/') ? [] : [message];
    });
    const command = ['run', '--data', parts.dataDir, '--service', 'newcomer', '--'];
    const run = start(palisade(...command, ...answering("s.end('new')")));
    try {
      await run.printed(/waiting for .*no policy of `palisade-system` has arrived/, 30_000);
      await applyIn(parts.dataDir, 'default', NEWCOMER_POLICY);
      const call = () => curlFrom(guarded.client, 'http://newcomer/');
      assert.notEqual((await call()).status, 200);
      hostile.tamper(undefined);
      hostile.dropStreams();
      await untilStatus(200, call);
    } finally {
      await run.stop();
    }
    await heal();
  });

  test('answers a lookup with an edited Service: refused, the name stays unknown', async () => {
    const { client } = guarded;
    await applyIn(parts.dataDir, 'other', SERVICE_ELSEWHERE);
    hostile.tamper((message) => {
      if (message.case !== 'lookup' || message.value.resource.length === 0) return [message];
      const text = Buffer.from(message.value.resource).toString();
      assert.match(text, /sa\/elsewhere/);
      const resource = Buffer.from(text.replace('sa/elsewhere', 'sa/stranger'));
      return [
        {
          case: 'lookup',
          value: createMessage(LookupResultSchema, { ...message.value, resource }),
        },
      ];
    });
    const forgedAnswer = await curlFrom(client, 'http://elsewhere.other/');
    assert.equal(forgedAnswer.status, 404, forgedAnswer.headers);
    const points = await until('a refusal', async () => {
      const found = (await pointsOf(guarded.mesh)).filter(({ refused }) => refused.length > 0);
      return found.length > 0 && found;
    });
    assert.deepEqual(
      points.flatMap(({ refused }) => refused.map(({ code }) => code)),
      ['proof_invalid'],
    );
    await heal();
    const honest = await curlFrom(client, 'http://elsewhere.other/');
    assert.equal(honest.status, 503, honest.headers);
    assert.match(honest.headers, /no_healthy_endpoint/);
  });
});

const POLICY = 'AuthorizationPolicy/server';
const ATTACKER = createPolicyKey();
const ATTACKER_SIGNER = signerOf(ATTACKER.privateKeyPem);
const OPEN = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'open', namespace: 'default' },
  spec: { action: 'ALLOW', rules: [{}] },
};
const MESH = `apiVersion: palisade.dev/v1
kind: Mesh
metadata: { name: mesh }
spec: { trustDomain: cluster.local }
`;
const NEWCOMER_POLICY = allowPolicy('[{}]', 'newcomer').replace('app: server', 'app: newcomer');
const SERVICE_ELSEWHERE = `apiVersion: palisade.dev/v1
kind: Service
metadata: { name: elsewhere }
spec:
  ports: [{ name: http, port: 80, protocol: http }]
  identities: ["spiffe://cluster.local/ns/other/sa/elsewhere"]
`;

function canary(round: number): string {
  const from = 'from: [{ source: { principals: [cluster.local/ns/default/sa/stranger] } }]';
  return allowPolicy(`[{ ${from}, to: [{ operation: { paths: [/canary/${round}] } }] }]`, 'canary');
}

async function applyIn(dataDir: string, namespace: string, yaml: string): Promise<void> {
  const command = palisade('apply', '-f', '-', '-n', namespace, '--data', dataDir);
  const applied = await finish(command, yaml);
  assert.equal(applied.status, 0, applied.stderr + applied.stdout);
}

function isSidecar({ node }: { readonly node: string }): boolean {
  return node.startsWith('default/');
}

/** All sidecars and the agent, with what each refuses, once all of them do. */
async function refusingPoints({ mesh }: Guarded) {
  const points = (await pointsOf(mesh)).filter(({ node }) => node !== 'ca');
  const told = points.filter(({ refused }) => refused.length > 0);
  if (points.length < 4 || told.length < points.length) return undefined;
  return told.map(({ node, refused }) => ({ node, codes: refused.map(({ code }) => code) }));
}

function edited(update: PolicySetUpdate, how: (text: string) => string): PolicySetUpdate {
  const changes = update.changes.map((each) => {
    const text = Buffer.from(each.resource).toString();
    return { ...each, resource: Buffer.from(how(text)) };
  });
  assert.notDeepEqual(changes, update.changes, 'the attack changed nothing');
  return { ...update, changes };
}

function change(name: string, resource: unknown): PolicySetUpdate['changes'][number] {
  const text = resource === undefined ? '' : canonicalJson(resource);
  return changeOf(`AuthorizationPolicy/${name}`, Buffer.from(text));
}

function changeOf(key: string, resource: Uint8Array): PolicySetUpdate['changes'][number] {
  return createMessage(ResourceChangeSchema, { key, resource: Buffer.from(resource) });
}

function changesOf(resources: ReadonlyMap<string, Uint8Array>): PolicySetUpdate['changes'] {
  return Array.from(resources, ([key, resource]) => changeOf(key, resource));
}

function whole(update: PolicySetUpdate, state: Kept): PolicySetUpdate {
  return {
    ...update,
    full: true,
    commits: [Buffer.from(state.commit)],
    changes: changesOf(state.resources),
  };
}

type Signature = { readonly keyid: string; readonly sig: string };

function signaturesOf(commit: Uint8Array | undefined): readonly Signature[] {
  return JSON.parse(Buffer.from(nonEmpty(commit)).toString()).signatures;
}

/** The same commits with other signatures. */
function signedBy(
  update: PolicySetUpdate,
  how: (signatures: readonly Signature[]) => readonly Signature[],
): PolicySetUpdate {
  const commits = update.commits.map((commit) => {
    const envelope = JSON.parse(Buffer.from(commit).toString());
    return Buffer.from(JSON.stringify({ ...envelope, signatures: how(envelope.signatures) }));
  });
  return { ...update, commits };
}

/** A commit in the place of the one sent, consistent in itself, that lets everybody in. */
function forged(update: PolicySetUpdate, { before }: Attacker): PolicySetUpdate {
  const { number, parent, trustDomain, namespace, author } = payloadOf(
    nonEmpty(update.commits.at(-1)),
  );
  const resources = new Map<string, unknown>();
  for (const [key, resource] of before.resources) {
    resources.set(key, JSON.parse(Buffer.from(resource).toString()));
  }
  resources.set('AuthorizationPolicy/open', OPEN);
  const { envelope } = createCommit({
    trustDomain: String(trustDomain),
    namespace: String(namespace),
    parent: { number: number - 1, hash: parent } as VerifiedHead,
    resources,
    author: String(author),
    nowMs: Date.now(),
    ttlMs: 3_600_000,
    signer: ATTACKER_SIGNER,
  });
  const changes = Array.from(resources, ([key, resource]) =>
    changeOf(key, Buffer.from(canonicalJson(resource))),
  );
  return { ...update, full: true, commits: [Buffer.from(encodeEnvelope(envelope))], changes };
}

function signerOf(privateKeyPem: string) {
  const signer = loadSigner(privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  return signer.value;
}

function nonEmpty<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing was seen of it yet');
  return value;
}
