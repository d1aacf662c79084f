// The red team has the control plane: its whole folder, its join token, hence its certificate. It tries what could make
// it more than that: identities of workloads, of agents, of the CA; a way past policy; keys that are not its own.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { type ServiceError, status } from '@grpc/grpc-js';
import { layoutOf, readTrustRoot } from '#client';
import { verifyX509Svid } from '#identity';
import {
  createPolicyKey,
  loadSigner,
  openNextRoot,
  type RevocationAct,
  signNextRoot,
  signRevocation,
} from '#trust';
import {
  createGrpcClient,
  Distribution,
  Issuance,
  Revocations,
  type SubscribeResponse,
  type TlsMaterial,
} from '#wire';
import { answering } from './applications.ts';
import { BIN, finish, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import {
  caClient,
  enrol,
  joinToken,
  type PublicTrust,
  publicTrust,
  requestFor,
  targetOf,
} from './stolen-identity.ts';

const ID = (path: string) => `spiffe://cluster.local/${path}`;
const WORKLOAD = ['unix:uid:0', 'unix:user:root', 'palisade:service:default/server'];

describe('an attacker with everything the control plane has', () => {
  let mesh: TestMesh;
  let server: Service;
  let trust: PublicTrust;
  let control: TlsMaterial;
  let addresses: { readonly ca: string; readonly grpc: string };

  before(async () => {
    mesh = await startTestMesh();
    server = await mesh.run('server', answering('s.end(q.url)'));
    addresses = JSON.parse(readFileSync(join(mesh.dataDir, 'mesh.json'), 'utf8'));
    trust = publicTrust(mesh.dataDir);
    control = await enrol({ ...addresses, trust }, ID('palisade/control'), token('control'));
  });
  after(() => mesh.close());

  const token = (role: 'agent' | 'control') => joinToken(mesh.dataDir, role);

  const NOT_ITS_OWN = [
    'ns/default/sa/server',
    'ns/default/sa/anything',
    'palisade/ca',
    'palisade/agent/vm',
    'palisade/control/2',
  ];

  for (const path of NOT_ITS_OWN) {
    test(`asks the CA for \`${path}\` as the control plane: PERMISSION_DENIED`, async () => {
      const client = caClient(addresses.ca, trust, control);
      const { csr } = requestFor(ID(path));
      const error = await refusalOf(
        client.unary(Issuance.method.issueX509Svid, { csr, selectors: WORKLOAD }),
      );
      client.close();
      assert.equal(error.code, status.PERMISSION_DENIED, error.details);
    });

    test(`enrols as \`${path}\` with the control plane's join token: refused`, async () => {
      const error = await refusalOf(enrol({ ...addresses, trust }, ID(path), token('control')));
      assert.equal(error.code, status.PERMISSION_DENIED, error.details);
    });
  }

  test('asks for a trust domain that is not this one: refused', async () => {
    const foreign = 'spiffe://elsewhere.example/ns/default/sa/server';
    const client = caClient(addresses.ca, trust, control);
    const asked = { csr: requestFor(foreign).csr, selectors: WORKLOAD };
    const error = await refusalOf(client.unary(Issuance.method.issueX509Svid, asked));
    client.close();
    assert.equal(error.code, status.PERMISSION_DENIED, error.details);
  });

  test('revokes, or lifts, without an author: refused', async () => {
    const { revocations } = forgeries(mesh.dataDir);
    const client = createGrpcClient(
      Revocations,
      targetOf(addresses.ca, ID('palisade/ca'), trust, control),
    );
    for (const envelope of revocations) {
      const entries = [Buffer.from(JSON.stringify(envelope))];
      const error = await refusalOf(client.unary(Revocations.method.submit, { entries }));
      assert.equal(error.code, status.INVALID_ARGUMENT, error.details);
    }
    client.close();
    const listed = await mesh.cli('identity', 'list', '--revoked', '-o', 'json');
    assert.deepEqual(JSON.parse(listed.stdout), []);
  });

  test('passes a root of its own off as the next one of the CA: no author signs it', () => {
    const { nextRoot, trustRoot } = forgeries(mesh.dataDir);
    assert.equal(openNextRoot(nextRoot, trustRoot).ok, false);
  });

  test('makes the CA prepare roots without end: there is one, and nobody trusts it', async () => {
    const client = caClient(addresses.ca, trust, control);
    const first = await client.unary(Issuance.method.prepareRoot, {});
    const second = await client.unary(Issuance.method.prepareRoot, {});
    client.close();
    const payloadOf = ({ envelope }: { envelope: Uint8Array }) =>
      JSON.parse(
        Buffer.from(JSON.parse(Buffer.from(envelope).toString()).payload, 'base64').toString(),
      );
    assert.equal(payloadOf(first).certificate, payloadOf(second).certificate);
    const root = readTrustRoot(layoutOf(mesh.dataDir));
    assert.ok(root.ok && !root.value.x509Roots.includes(payloadOf(first).certificate));
  });

  test('its own renewal works, so that the refusals above are about who asks', async () => {
    const client = caClient(addresses.ca, trust, control);
    const { csr } = requestFor(ID('palisade/control'));
    const { chain } = await client.unary(Issuance.method.issueX509Svid, { csr, selectors: [] });
    client.close();
    const svid = verifyX509Svid(chain, trust.bundle, Date.now());
    assert.ok(svid.ok && svid.value.id.text === ID('palisade/control'));
  });

  test('nothing of this is in the issuance log but its own name', async () => {
    const listed = await mesh.cli('identity', 'list', '-o', 'json');
    assert.equal(listed.status, 0, listed.stderr);
    const ids = [...listed.stdout.matchAll(/"requestedBy":\s*"([^"]*control)"/g)];
    assert.doesNotMatch(listed.stdout, /sa\/anything|palisade\/control\/2|elsewhere\.example/);
    assert.ok(ids.length > 0, 'its own renewal is not in the log');
    for (const [, by] of ids) assert.equal(by, ID('palisade/control'));
  });

  test('calls a workload with the control plane’s certificate: denied', async () => {
    const text = await ask(server.ports.inboundPort, control);
    assert.match(
      text,
      /^HTTP\/1\.1 403 [^]*x-palisade-reason: (?:policy_denied|peer_unauthenticated)/,
    );
  });

  test('subscribes as the control plane to the control plane: refused', async () => {
    const target = targetOf(addresses.grpc, ID('palisade/control'), trust, control);
    const client = createGrpcClient(Distribution, target);
    const stream = client.bidi(Distribution.method.subscribe);
    stream.write({
      message: { case: 'hello', value: { node: 'x/y/z', kind: 'ca', namespaces: ['*'] } },
    } as never);
    const heard = await new Promise<SubscribeResponse | ServiceError>((resolve) => {
      stream.on('data', resolve);
      stream.on('error', resolve);
    });
    client.close();
    assert.ok(heard instanceof Error, 'it was answered');
  });

  test('the control plane’s folder holds no key', () => {
    const folder = join(mesh.dataDir, 'control');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    assert.ok(files.includes('control.db'));
    for (const file of files) {
      const path = join(folder, file);
      if (!lstatSync(path).isFile()) continue;
      assert.doesNotMatch(readFileSync(path, 'latin1'), /PRIVATE KEY|join-token/, file);
      for (const role of ['agent', 'control'] as const) {
        assert.equal(readFileSync(path, 'latin1').includes(token(role)), false, file);
      }
    }
  });

  test('hands in a commit signed by a key of its own: refused, nothing stored', async () => {
    // The API's own client certificate is not the control plane's to use, but its owner may be careless: worst case.
    const folder = join(mesh.dataDir, 'author');
    const before = await mesh.cli('get', 'authorizationpolicy', '-o', 'json');
    const stolen = await finish(
      ['sh', '-c', FOREIGN_AUTHOR, 'sh', folder, process.execPath, BIN, mesh.dataDir],
      OPEN,
    );
    assert.notEqual(stolen.status, 0, stolen.stdout);
    const after = await mesh.cli('get', 'authorizationpolicy', '-o', 'json');
    assert.equal(after.stdout, before.stdout);
  });
});

// Applies with a fresh key in the author's place, then puts the author's back.
const FOREIGN_AUTHOR = `cp "$1/policy-author.key" "$1/kept" &&
"$2" -e "const k=require('crypto').generateKeyPairSync('ed25519').privateKey.export({type:'pkcs8',format:'pem'});
require('fs').writeFileSync(process.argv[1],k)" "$1/policy-author.key" &&
"$2" "$3" apply -f - --data "$4"; status=$?; mv "$1/kept" "$1/policy-author.key"; exit $status`;
const OPEN = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: open }
spec: { action: ALLOW, rules: [{}] }
`;

async function refusalOf(asked: Promise<unknown>): Promise<ServiceError> {
  try {
    await asked;
  } catch (error) {
    return error as ServiceError;
  }
  throw new assert.AssertionError({ message: 'a certificate was issued' });
}

/** One request to a sidecar's inbound port under a certificate; empty where nothing was answered. */
function ask(port: number, { chainPem, privateKeyPem }: TlsMaterial): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({
      port,
      host: '127.0.0.1',
      cert: chainPem,
      key: privateKeyPem,
      rejectUnauthorized: false,
    });
    socket.on('error', () => {
      // A reset ends it like any other end; what came is in `text`.
    });
    socket.on('close', () => resolve(text));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.write('GET / HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n');
  });
}

/** What somebody signs who has no key of an author, nor the log's. */
function forgeries(dataDir: string) {
  const root = readTrustRoot(layoutOf(dataDir));
  assert.ok(root.ok);
  const trustRoot = root.value;
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  assert.ok(signer.ok);
  const { trustDomain } = trustRoot;
  const entry = (issuer: string, act: RevocationAct) =>
    signRevocation(
      {
        trustDomain,
        issuer,
        number: 1,
        parent: null,
        author: 'somebody',
        time: new Date().toISOString(),
        target: { kind: 'identity', id: ID('ns/default/sa/server'), issuedBefore: null },
        act,
      },
      [signer.value],
    );
  const revoke = { kind: 'revoke', reason: '', until: null } as const;
  const lift = { kind: 'lift', reason: '', revocation: '0'.repeat(64) } as const;
  const author = trustRoot.policyKeys[0]?.keyId ?? '';
  const certificate = trustRoot.x509Roots[0] ?? '';
  const time = new Date().toISOString();
  return {
    trustRoot,
    revocations: [entry(key.keyId, revoke), entry(author, revoke), entry(key.keyId, lift)],
    nextRoot: signNextRoot({ trustDomain, certificate, time }, signer.value),
  };
}
