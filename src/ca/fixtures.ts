// A mesh for this layer's tests: an authority on a free port, an author who signs registrations, a control plane that
// sends whatever a test tells it to, and callers with keys of their own. All over real TLS.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCsr, createKeyPair, derToPem, parseSpiffeId } from '#identity';
import { createSilentLog } from '#telemetry';
import {
  createCommit,
  createPolicyKey,
  type EncodedUpdate,
  encodeEnvelope,
  encodeUpdate,
  loadSigner,
  type PolicySetUpdate,
  type PolicySigner,
  signTrustRoot,
  type TrustRoot,
  type VerifiedHead,
} from '#trust';
import {
  type Ack,
  createGrpcClient,
  createGrpcServer,
  createMessage,
  Distribution,
  type GrpcClient,
  type Hello,
  Issuance,
  type SubscribeRequest,
  SubscribeResponseSchema,
  type X509SvidResponse,
} from '#wire';
import {
  type Ca,
  type CaOptions,
  createCa,
  type InitializeOptions,
  initializeCa,
  readJoinToken,
} from './index.ts';

/** The trust domain of every test. */
export const TRUST_DOMAIN = 'example.org';
const START_MS = Date.parse('2026-05-01T12:00:00.000Z');

/** A mesh on disk, with a clock that only the test moves. */
export type TestMesh = {
  readonly folder: string;
  readonly trustRootFile: string;
  readonly trustRoot: TrustRoot;
  readonly rootPem: string;
  readonly author: PolicySigner;
  readonly tokens: { readonly agent: string; readonly control: string };
  readonly clock: { nowMs: number };
  readonly startCa: (more?: Partial<CaOptions>) => Promise<Ca>;
  readonly remove: () => void;
};

/** Makes the folder of a mesh; real time unless told otherwise, since TLS itself knows no fake clock. */
export function createTestMesh(
  nowMs = Date.now(),
  more: Partial<InitializeOptions> = {},
): TestMesh {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-ca-'));
  const parts = initializeCa({ folder, trustDomain: TRUST_DOMAIN, nowMs, ...more });
  const key = createPolicyKey();
  const author = loadSigner(key.privateKeyPem);
  if (!author.ok) throw new Error(author.error);
  const trustRoot: TrustRoot = {
    version: 1,
    trustDomain: TRUST_DOMAIN,
    x509Roots: [parts.rootPem.replaceAll(/-----[A-Z ]+-----|\n/g, '')],
    policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'author', namespaces: ['*'] }],
    threshold: 1,
    issuanceLogKey: parts.logPublicKey,
    issuedAt: new Date(START_MS).toISOString(),
  };
  const trustRootFile = join(folder, 'trust-root.json');
  writeFileSync(trustRootFile, encodeEnvelope(signTrustRoot(trustRoot, [author.value])));
  const clock = { nowMs };
  const token = (role: string) =>
    readJoinToken(join(folder, `join-token-${role}`), more.passphrase);
  return {
    folder,
    trustRootFile,
    trustRoot,
    rootPem: parts.rootPem,
    author: author.value,
    tokens: { agent: token('agent'), control: token('control') },
    clock,
    startCa: (now = {}) =>
      createCa({
        folder,
        trustRootFile,
        trustDomain: TRUST_DOMAIN,
        passphrase: more.passphrase,
        keyDevice: more.keyDevice,
        upstream: more.upstream,
        listen: { host: '127.0.0.1', port: 0 },
        clock: () => clock.nowMs,
        elapsed: () => 0,
        log: createSilentLog(),
        patienceMs: 20,
        identityRateLimit: { burst: 1e6, perSecond: 1e6 },
        ...now,
      }),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** A key with the certificate it has, if any, and the client that shows it. */
export type TestCaller = {
  readonly client: GrpcClient;
  readonly chainPem: string;
  readonly privateKeyPem: string;
  readonly svid: X509SvidResponse;
};

/** A client of the authority without a certificate, or with one. */
export function clientOf(
  mesh: TestMesh,
  port: number,
  client?: { readonly chainPem: string; readonly privateKeyPem: string },
): GrpcClient {
  return createGrpcClient(Issuance, {
    kind: 'tls',
    address: `127.0.0.1:${port}`,
    rootsPem: [mesh.rootPem],
    verifyServer: () => undefined,
    ...(client && { client }),
  });
}

/** A CSR for a SPIFFE ID's path, with its key. */
export function csrOf(path: string, trustDomain = TRUST_DOMAIN) {
  const keys = createKeyPair();
  const id = parseSpiffeId(`spiffe://${trustDomain}${path}`);
  if (!id.ok) throw new Error(id.error);
  const privateKeyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { csr: new Uint8Array(createCsr({ ...keys, id: id.value })), privateKeyPem, keys };
}

/** Enrols with a join token; the caller's client shows the certificate it got. */
export async function enrol(
  mesh: TestMesh,
  port: number,
  path: string,
  joinToken: string,
): Promise<TestCaller> {
  const { csr, privateKeyPem } = csrOf(path);
  const anonymous = clientOf(mesh, port);
  try {
    const svid = await anonymous.unary(Issuance.method.enrol, { joinToken, csr });
    const chainPem = svid.chain.map((der) => derToPem(der)).join('');
    const client = clientOf(mesh, port, { chainPem, privateKeyPem });
    return { client, chainPem, privateKeyPem, svid };
  } finally {
    anonymous.close();
  }
}

/** A Registration as authors write it. */
export function registration(name: string, selectors: readonly string[], more: object = {}) {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Registration',
    metadata: { name, namespace: 'shop' },
    spec: {
      spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/${name}`,
      selectors,
      ttl: '1h',
      ...more,
    },
  };
}

/** Signs registrations as the next state of a namespace. */
export function signSet(
  mesh: TestMesh,
  resources: readonly { readonly kind: string; readonly metadata: { readonly name: string } }[],
  more: { parent?: VerifiedHead; signer?: PolicySigner; namespace?: string } = {},
): PolicySetUpdate & { readonly head: VerifiedHead } {
  const namespace = more.namespace ?? 'shop';
  const placed = resources.map((item) => ({
    ...item,
    metadata: { ...item.metadata, namespace },
  }));
  const map = new Map(placed.map((item) => [`${item.kind}/${item.metadata.name}`, item]));
  const { envelope, hash, commit } = createCommit({
    trustDomain: TRUST_DOMAIN,
    namespace,
    parent: more.parent,
    resources: map,
    author: 'author',
    nowMs: mesh.clock.nowMs,
    ttlMs: 24 * 3_600_000,
    signer: more.signer ?? mesh.author,
  });
  return {
    namespace,
    commits: [envelope],
    full: true,
    changes: Array.from(map, ([key, resource]) => ({ key, resource })),
    head: { number: commit.number, hash, commit, envelope },
  };
}

/** A control plane that says what it is told to, honest or not. */
export type FakeControl = {
  readonly address: string;
  readonly hellos: readonly Hello[];
  /** Sends an update to all subscribers and resolves to the acknowledgement that answers it. */
  readonly send: (update: PolicySetUpdate | EncodedUpdate) => Promise<Ack>;
  /** Resolves when the authority has subscribed `count` times. */
  readonly subscribed: (count?: number) => Promise<void>;
  readonly close: () => Promise<void>;
};

type Call = {
  readonly write: (response: unknown) => void;
  readonly end: () => void;
  readonly on: (event: string, listener: (request: SubscribeRequest) => void) => void;
};

/** Starts one with a certificate of the authority; `port` to come back where it was. */
export async function startFakeControl(
  mesh: TestMesh,
  ca: { readonly port: number },
  port = 0,
): Promise<FakeControl> {
  const { client, chainPem, privateKeyPem } = await enrol(
    mesh,
    ca.port,
    '/palisade/control',
    mesh.tokens.control,
  );
  client.close();
  const calls = new Set<Call>();
  const hellos: Hello[] = [];
  const ackListeners = new Set<(ack: Ack) => void>();
  const helloListeners = new Set<() => void>();
  function subscribe(call: Call): void {
    calls.add(call);
    let isGreeting = true;
    call.on('close', () => calls.delete(call));
    call.on('cancelled', () => calls.delete(call));
    call.on('data', ({ message }) => {
      if (message.case === 'hello') {
        hellos.push(message.value);
        for (const listener of helloListeners) listener();
      }
      if (message.case !== 'ack') return;
      // The first of a stream tells what is enforced already, and answers nothing.
      if (isGreeting) {
        isGreeting = false;
        return;
      }
      for (const listener of ackListeners) listener(message.value);
      ackListeners.clear();
    });
  }
  const implementation = { subscribe: subscribe as never };
  const server = createGrpcServer<true>([{ service: Distribution, implementation }]);
  const material = { chainPem, privateKeyPem, rootsPem: [mesh.rootPem] };
  const listening = await server.listenTls({
    host: '127.0.0.1',
    port,
    material: () => material,
    identify: () => true,
  });
  return {
    address: `127.0.0.1:${listening}`,
    hellos,
    send(update) {
      const encoded = update.commits.every((commit) => commit instanceof Uint8Array)
        ? (update as EncodedUpdate)
        : encodeUpdate(update as PolicySetUpdate);
      const acknowledged = new Promise<Ack>((resolve) => ackListeners.add(resolve));
      const message = { case: 'policySet', value: encoded } as never;
      for (const call of calls) call.write(createMessage(SubscribeResponseSchema, { message }));
      return acknowledged;
    },
    async subscribed(count = 1) {
      while (hellos.length < count) {
        await new Promise<void>((resolve) => helloListeners.add(resolve));
      }
    },
    close: () => server.close(),
  };
}
