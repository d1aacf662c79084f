import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { after, test } from 'node:test';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  attestationProof,
  createKeyPair,
  createRoot,
  derToPem,
  type Issuer,
  issueX509Svid,
  parseBundle,
  parseSpiffeId,
  parseTrustDomain,
  pemToDer,
  verifyX509Svid,
} from '#identity';
import { createJoinToken } from '#trust';
import {
  type AttestAgentRequest,
  AttestAgentRequestSchema,
  type AttestAgentResponse,
  createMessage,
  Issuance,
  type X509SvidResponse,
} from '#wire';
import {
  clientOf,
  createTestMesh,
  csrOf,
  enrol,
  registration,
  signSet,
  startFakeControl,
  TRUST_DOMAIN,
} from './fixtures.ts';

const HOUR_MS = 3_600_000;
const mesh = createTestMesh();
const first = await mesh.startCa();
const control = await startFakeControl(mesh, first);
await first.close();
const ca = await mesh.startCa({ control: control.address });
await control.subscribed();
const operator = await enrol(mesh, ca.port, '/palisade/control', mesh.tokens.control);
after(async () => {
  operator.client.close();
  await ca.close();
  await control.close();
  mesh.remove();
});

// A cloud, a cluster and a machine authority of the test's own: their published formats, its own keys.
const platform = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = JSON.stringify({
  keys: [{ ...platform.publicKey.export({ format: 'jwk' }), kid: 'platform-1', use: 'sig' }],
});
const machines = authority('machines.example');
const nodeAttestor = (name: string, spec: object) => ({
  apiVersion: 'palisade.dev/v1',
  kind: 'NodeAttestor',
  metadata: { name, namespace: 'palisade-system' },
  spec,
});
const amazon = certify(machines, platform.publicKey);
const attestors = [
  nodeAttestor('machines', { x509pop: { roots: machines.certificatePem } }),
  nodeAttestor('cluster', {
    k8sPsat: {
      cluster: 'production',
      issuer: 'https://kubernetes.default.svc',
      jwks,
      serviceAccounts: ['palisade:agent'],
    },
  }),
  nodeAttestor('google', { gcpIit: { projects: ['shop'], jwks, again: ['7'] } }),
  nodeAttestor('azure', { azureMsi: { tenants: ['tenant-1'], jwks } }),
  nodeAttestor('amazon', { awsIid: { accounts: ['123456789012'], certificates: amazon } }),
];
await control.send(signSet(mesh, attestors, { namespace: 'palisade-system' }));
await control.send(
  signSet(mesh, [registration('web', ['unix:uid:1000', 'x509pop:subject:cn:node-7'])]),
);

type Attempt = {
  readonly attestor: string;
  readonly evidence: unknown;
  readonly agent: string;
  readonly answer?: (nonce: Buffer, publicKeyDer: Buffer) => object;
};

/** One conversation, as an agent leads it; the key comes along for what follows. */
async function attest({ attestor, evidence, agent, answer }: Attempt) {
  const { csr, privateKeyPem, keys } = csrOf(`/palisade/agent/${agent}`);
  const publicKeyDer = keys.publicKey.export({ type: 'spki', format: 'der' });
  const client = clientOf(mesh, ca.port);
  const stream = client.bidi(Issuance.method.attestAgent) as ClientDuplexStream<
    AttestAgentRequest,
    AttestAgentResponse
  >;
  const send = (step: AttestAgentRequest['step']) =>
    stream.write(createMessage(AttestAgentRequestSchema, { step }));
  const encoded = (value: unknown) => new Uint8Array(Buffer.from(JSON.stringify(value)));
  try {
    send({ case: 'begin', value: { attestor, evidence: encoded(evidence), csr } as never });
    for await (const { step } of stream as AsyncIterable<AttestAgentResponse>) {
      if (step.case === 'svid') return { svid: step.value, privateKeyPem };
      assert.equal(step.case, 'challenge');
      const { nonce } = JSON.parse(Buffer.from(step.value as Uint8Array).toString()) as {
        nonce: string;
      };
      send({
        case: 'answer',
        value: encoded(answer?.(Buffer.from(nonce, 'base64'), publicKeyDer) ?? {}),
      });
    }
    throw new Error('the authority said nothing');
  } finally {
    stream.on('error', () => {
      // Of the cancelling here.
    });
    stream.cancel();
    client.close();
  }
}

async function refused(attempt: Attempt, pattern: RegExp): Promise<void> {
  await assert.rejects(attest(attempt), { details: pattern });
}

function attestationOf({ chain }: X509SvidResponse): string {
  const trustDomain = parseTrustDomain(TRUST_DOMAIN);
  assert.ok(trustDomain.ok);
  const bundle = parseBundle(trustDomain.value, mesh.rootPem);
  assert.ok(bundle.ok);
  const svid = verifyX509Svid(chain, bundle.value, mesh.clock.nowMs);
  assert.ok(svid.ok, svid.ok ? '' : svid.error.message);
  return `${svid.value.id.path} ${svid.value.attestation}`;
}

function authority(name: string): Issuer {
  const trustDomain = parseTrustDomain(name);
  assert.ok(trustDomain.ok);
  return createRoot({ trustDomain: trustDomain.value, nowMs: Date.now(), ttlMs: 24 * HOUR_MS });
}

/** A machine's certificate; of its names only the DNS one is looked at. */
function certify(issuer: Issuer, publicKey: KeyObject, more: { expiresAt?: number } = {}): string {
  const id = parseSpiffeId('spiffe://machines.example/machine');
  assert.ok(id.ok);
  const der = issueX509Svid({
    issuer,
    id: id.value,
    publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
    serial: Buffer.alloc(16, 7),
    notBefore: Date.now() - 2 * HOUR_MS,
    expiresAt: Date.now() + HOUR_MS,
    dnsNames: ['node-7.example'],
    ...more,
  });
  return derToPem(der);
}

function machine(issuer: Issuer = machines, more: { expiresAt?: number } = {}) {
  const { privateKey, publicKey } = createKeyPair();
  const [der = Buffer.alloc(0)] = pemToDer(certify(issuer, publicKey, more));
  const fingerprint = createHash('sha256').update(der).digest('hex');
  const prove = (nonce: Buffer, publicKeyDer: Uint8Array) => ({
    signature: sign(
      'sha256',
      attestationProof('x509pop', nonce, publicKeyDer),
      privateKey,
    ).toString('base64'),
  });
  return {
    attestor: 'x509pop',
    evidence: { certificates: [Buffer.from(der).toString('base64')] },
    agent: `x509pop/${fingerprint}`,
    answer: prove,
  };
}

test("x509pop: a machine's certificate and proof of its key", async () => {
  const host = machine();
  const { svid } = await attest(host);
  assert.equal(attestationOf(svid), `/palisade/agent/${host.agent} token`);
  assert.deepEqual(svid.hostSelectors, [
    `x509pop:fingerprint:${host.agent.slice('x509pop/'.length)}`,
    'x509pop:san:dns:node-7.example',
    'agent:attestor:x509pop',
    `agent:id:/palisade/agent/${host.agent}`,
  ]);
  await attest(host);
});

test("attack: x509pop with what is not one's own", async () => {
  const host = machine();
  const stranger = machine();
  await refused({ ...host, answer: stranger.answer }, /proof of the certificate's key is wrong/);
  await refused({ ...host, answer: () => ({}) }, /`signature` is missing/);
  await refused(
    { ...host, answer: (_nonce, key) => host.answer(Buffer.alloc(32), key) },
    /proof .* is wrong/,
  );
  await refused(
    { ...host, answer: (nonce) => host.answer(nonce, Buffer.from('another key')) },
    /proof .* is wrong/,
  );
  await refused({ ...host, agent: stranger.agent }, /is for .*, not for/);
  await refused({ ...host, agent: 'node-7' }, /is for .*, not for/);
  await refused(machine(authority('evil.example')), /no path leads/);
  await refused(machine(machines, { expiresAt: Date.now() - HOUR_MS }), /expired/);
  await refused({ ...host, evidence: { certificates: ['AAAA'] } }, /certificate 1/);
  await refused({ ...host, evidence: { certificates: Array(7).fill('AAAA') } }, /list of 1 to 6/);
  await refused({ ...host, evidence: [] }, /not a JSON object/);
  await refused({ ...host, evidence: { certificates: ['x'.repeat(70_000)] } }, /65536 bytes/);
  await refused({ ...host, attestor: '__proto__' }, /there is no attestor/);
});

function token(claims: object, more: { key?: KeyObject; header?: object } = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 300;
  const header = { alg: 'RS256', kid: 'platform-1', typ: 'JWT', ...more.header };
  const text = `${part(header)}.${part({ exp, aud: 'palisade-ca', ...claims })}`;
  const key = more.key ?? platform.privateKey;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

const pod = (more: object = {}) => ({
  iss: 'https://kubernetes.default.svc',
  'kubernetes.io': {
    namespace: 'palisade',
    serviceaccount: { name: 'agent' },
    pod: { name: 'agent-x', uid: 'pod-1' },
    node: { name: 'node-7', uid: 'node-uid-7' },
    ...more,
  },
});
const cluster = (claims: object, more: Parameters<typeof token>[1] = {}): Attempt => ({
  attestor: 'k8s_psat',
  evidence: { cluster: 'production', token: token(claims, more) },
  agent: 'k8s_psat/production.node-uid-7',
});

test('k8s_psat: a projected service account token', async () => {
  const { svid } = await attest(cluster(pod()));
  assert.equal(attestationOf(svid), '/palisade/agent/k8s_psat/production.node-uid-7 kubernetes');
  assert.ok(svid.hostSelectors.includes('k8s_psat:agent_node_name:node-7'));
});

test('attack: k8s_psat with tokens that are not for this', async () => {
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  await refused(cluster({ ...pod(), aud: 'vault' }), /audience/);
  await refused(cluster({ ...pod(), exp: 1000 }), /expired/);
  await refused(cluster({ ...pod(), exp: undefined }), /no expiry/);
  await refused(cluster({ ...pod(), nbf: Math.floor(Date.now() / 1000) + 3600 }), /not valid yet/);
  await refused(cluster({ ...pod(), iss: 'https://evil' }), /another issuer/);
  await refused(cluster(pod({ serviceaccount: { name: 'web' } })), /`palisade:web` may not attest/);
  await refused(cluster(pod({ pod: undefined })), /not bound to a pod/);
  await refused(cluster(pod(), { key: stranger }), /signature is wrong/);
  await refused(cluster(pod(), { header: { kid: 'platform-2' } }), /no key of the platform/);
  await refused(cluster(pod(), { header: { alg: 'none' } }), /algorithm/);
  await refused(cluster(pod(), { header: { alg: 'HS256' } }), /algorithm/);
  await refused(cluster(pod(), { header: { jwk: {} } }), /header/);
  await refused(
    { ...cluster(pod()), evidence: { cluster: 'test', token: token(pod()) } },
    /no NodeAttestor/,
  );
});

const google = (id: string, more: object = {}): Attempt => ({
  attestor: 'gcp_iit',
  evidence: {
    token: token({
      iss: 'https://accounts.google.com',
      google: {
        compute_engine: {
          project_id: 'shop',
          zone: 'z',
          instance_id: id,
          instance_name: 'n',
          ...more,
        },
      },
    }),
  },
  agent: `gcp_iit/shop.${id}`,
});

test('gcp_iit: an instance attests once, unless it is named under `again`', async () => {
  const { svid } = await attest(google('1'));
  assert.equal(attestationOf(svid), '/palisade/agent/gcp_iit/shop.1 token');
  await refused(google('1'), /has attested before/);
  await attest(google('7'));
  await attest(google('7'));
  await refused(google('2', { project_id: 'evil' }), /`evil` may not attest/);
});

test("azure_msi: the token of a managed identity, with a header of Azure's own", async () => {
  const claims = {
    iss: 'https://sts.windows.net/tenant-1/',
    tid: 'tenant-1',
    oid: 'principal-1',
    xms_mirid:
      '/subscriptions/s-1/resourcegroups/g-1/providers/Microsoft.Compute/virtualMachines/vm-1',
  };
  const azure = (more: object = {}): Attempt => ({
    attestor: 'azure_msi',
    evidence: { token: token({ ...claims, ...more }, { header: { x5t: 'abc' } }) },
    agent: 'azure_msi/tenant-1.principal-1',
  });
  const { svid } = await attest(azure());
  assert.deepEqual(svid.hostSelectors.slice(0, 4), [
    'azure_msi:tenant-id:tenant-1',
    'azure_msi:subscription-id:s-1',
    'azure_msi:resource-group:g-1',
    'azure_msi:vm-name:vm-1',
  ]);
  await refused(azure(), /has attested before/);
  await refused(azure({ tid: 'tenant-2' }), /not of its tenant's issuer/);
});

test('aws_iid: an instance identity document and its signature', async () => {
  const amazonSays = (content: object, more: { key?: KeyObject } = {}): Attempt => {
    const document = Buffer.from(JSON.stringify(content, null, 2));
    const signature = sign('sha256', document, more.key ?? platform.privateKey);
    return {
      attestor: 'aws_iid',
      evidence: {
        document: document.toString('base64'),
        signature: signature.toString('base64'),
      },
      agent: 'aws_iid/123456789012.i-1',
    };
  };
  const content = { accountId: '123456789012', instanceId: 'i-1', region: 'eu-central-1' };
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  await refused(amazonSays(content, { key: stranger }), /not signed by a certificate of AWS/);
  await refused(amazonSays({ ...content, accountId: '9' }), /`9` may not attest/);
  const { svid } = await attest(amazonSays(content));
  assert.ok(svid.hostSelectors.includes('aws_iid:region:eu-central-1'));
  await refused(amazonSays(content), /has attested before/);
});

const joining = (text: string, host = 'node-9'): Attempt => ({
  attestor: 'join_token',
  evidence: { token: text },
  agent: host,
});
const signed = (host = 'node-9') =>
  createJoinToken({
    trustDomain: TRUST_DOMAIN,
    host,
    nowMs: mesh.clock.nowMs,
    ttlMs: HOUR_MS,
    signers: [mesh.author],
  });

test('join_token: a signed token is good once, for its host', async () => {
  const text = signed();
  await refused(joining(text, 'node-8'), /is for .*node-9.*, not for .*node-8/);
  const { svid } = await attest(joining(text));
  assert.equal(attestationOf(svid), '/palisade/agent/node-9 token');
  await refused(joining(text), /was used before/);
  await refused(joining('palisade-join.x'), /envelope|join token/);
});

test('attack: the reusable join token asks for what only evidence leads to', async () => {
  await assert.rejects(enrol(mesh, ca.port, '/palisade/agent/tpm/abc', mesh.tokens.agent), {
    details: /this join token is for/,
  });
});

test("a host selector is believed from the authority's book alone", async () => {
  const { svid, privateKeyPem } = await attest(machine());
  const chainPem = svid.chain.map((der) => derToPem(der)).join('');
  const client = clientOf(mesh, ca.port, { chainPem, privateKeyPem });
  const { csr } = csrOf('/ns/shop/sa/web');
  const selectors = ['unix:uid:1000', 'x509pop:subject:cn:node-7'];
  await assert.rejects(client.unary(Issuance.method.issueX509Svid, { csr, selectors }), {
    details: /x509pop:subject:cn:node-7.*not found to have/,
  });
  client.close();
});

/** An agent that has slept: its last certificate is past its life, by the authority's clock. */
test('an agent that slept past its certificate comes back by it, and keeps what it was', async () => {
  const host = machine();
  const { svid, privateKeyPem } = await attest(host);
  const sleeper = (leaf: X509SvidResponse, key: string): Attempt => ({
    attestor: 'svid',
    evidence: { certificates: leaf.chain.map((der) => Buffer.from(der).toString('base64')) },
    agent: host.agent,
    answer: (nonce, publicKeyDer) => ({
      signature: sign('sha256', attestationProof('svid', nonce, publicKeyDer), key).toString(
        'base64',
      ),
    }),
  });
  const nowMs = mesh.clock.nowMs;
  try {
    mesh.clock.nowMs = nowMs + 10 * 24 * HOUR_MS;
    await refused(
      sleeper(svid, createKeyPair().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      /proof/,
    );
    const woken = await attest(sleeper(svid, privateKeyPem));
    assert.ok(woken.svid.hostSelectors.includes('agent:attestor:x509pop'));
    // The older certificate is worth nothing now: somebody may have taken a copy along.
    await refused(sleeper(svid, privateKeyPem), /not the last certificate/);
    mesh.clock.nowMs += 32 * 24 * HOUR_MS;
    await refused(sleeper(woken.svid, woken.privateKeyPem), /attest anew/);
  } finally {
    mesh.clock.nowMs = nowMs;
  }
});

test('a flood of evidence of one kind leaves the others alone', async () => {
  const bad = { ...google('99'), evidence: { token: 'x' } };
  const answers = await Promise.allSettled(Array.from({ length: 300 }, () => attest(bad)));
  const reasons = answers.map((each) =>
    each.status === 'rejected' ? String(each.reason.details) : '',
  );
  assert.ok(reasons.some((reason) => /too many attempts/.test(reason)));
  await attest(machine());
});
