// Fakes for this layer's tests: an authority that issues whatever is asked for, a control plane (or an agent in its
// place) that says whatever a test tells it to, and an author who signs. All over real sockets and real gRPC.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createKeyPair,
  createRoot,
  derToPem,
  issueX509Svid,
  parseCsr,
  parseSpiffeId,
  parseTrustDomain,
} from '#identity';
import {
  createCommit,
  createPolicyKey,
  encodeEnvelope,
  encodeUpdate,
  loadSigner,
  type PolicySetUpdate,
  signTrustRoot,
  type TrustRoot,
  type VerifiedHead,
} from '#trust';
import {
  type Ack,
  createGrpcServer,
  createMessage,
  Distribution,
  type GrpcCall,
  type GrpcService,
  type Hello,
  type Lookup,
  type ReportRequest,
  ReportResponseSchema,
  SpiffeWorkloadAPI,
  type SubscribeRequest,
  type SubscribeResponse,
  SubscribeResponseSchema,
  Telemetry,
  type X509SVIDResponse,
  X509SVIDResponseSchema,
} from '#wire';

/** The trust domain of every test. */
export const TRUST_DOMAIN = 'example.org';
const HOUR_MS = 3_600_000;

/** A signed set with what a later commit continues from. */
export type SignedSet = PolicySetUpdate & { readonly head: VerifiedHead };

/** A resource of any kind in namespace `shop`. */
export function resource(kind: string, name: string, spec: object, namespace = 'shop') {
  const apiVersion = kind === 'AuthorizationPolicy' ? 'security.istio.io/v1' : 'palisade.dev/v1';
  return { apiVersion, kind, metadata: { name, namespace }, spec };
}

/** A Service with one HTTP port. */
export function service(name: string, namespace = 'shop') {
  return resource('Service', name, { ports: [{ port: 80, protocol: 'http' }] }, namespace);
}

/** A Registration of `name`'s account for `selectors`. */
export function registration(name: string, selectors: readonly string[]) {
  const spiffeId = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/${name}`;
  return resource('Registration', name, { spiffeId, selectors });
}

/** An ALLOW policy with one path, so that versions differ. */
export function allow(name: string, path: string) {
  return resource('AuthorizationPolicy', name, {
    action: 'ALLOW',
    rules: [{ to: [{ operation: { paths: [path] } }] }],
  });
}

/** A mesh with one author, on disk in a folder of its own. */
export type FakeMesh = ReturnType<typeof createFakeMesh>;

/** Makes keys and a trust root; real time, since TLS knows no fake clock. */
export function createFakeMesh() {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-agent-'));
  const trustDomain = parseTrustDomain(TRUST_DOMAIN);
  if (!trustDomain.ok) throw new Error(trustDomain.error);
  const nowMs = Date.now();
  const root = createRoot({ trustDomain: trustDomain.value, nowMs, ttlMs: 24 * HOUR_MS });
  const author = createAuthor('alice');
  const logKey = createAuthor('log');
  const trustRoot: TrustRoot = {
    version: 1,
    trustDomain: TRUST_DOMAIN,
    x509Roots: [Buffer.from(root.certificateDer).toString('base64')],
    policyKeys: [author.entry],
    threshold: 1,
    issuanceLogKey: logKey.entry.publicKey,
    issuedAt: new Date(nowMs).toISOString(),
  };
  const trustRootFile = join(folder, 'trust-root.json');
  writeFileSync(trustRootFile, encodeEnvelope(signTrustRoot(trustRoot, [author.signer])));
  const joinTokenFile = join(folder, 'join-token');
  const issue = (idText: string, publicKeyDer: Uint8Array, ttlMs = HOUR_MS, now = Date.now()) => {
    const id = parseSpiffeId(idText);
    if (!id.ok) throw new Error(id.error);
    const serial = randomBytes(16);
    serial[0] = 1;
    const times = { notBefore: now - 1000, expiresAt: now + ttlMs };
    return issueX509Svid({ issuer: root, id: id.value, publicKeyDer, serial, ...times });
  };
  writeFileSync(joinTokenFile, 'join\n');
  return {
    folder,
    trustRootFile,
    joinToken: () => readFileSync(joinTokenFile, 'utf8').trim(),
    trustRoot,
    author,
    logSigner: logKey.signer,
    socketPath: join(folder, 'agent.sock'),
    issue,
    /** Signs a request as of a fake clock's time. */
    sign(csrDer: Uint8Array, at: { nowMs: number; ttlMs: number }) {
      const csr = parseCsr(csrDer);
      if (!csr.ok) throw new Error(csr.error);
      return issue(csr.value.id.text, csr.value.publicKeyDer, at.ttlMs, at.nowMs);
    },
    rootDer: root.certificateDer,
    rootPem: root.certificatePem,
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** An author whose key may sign for all namespaces. */
export function createAuthor(name: string) {
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  const { keyId, publicKey } = key;
  return { signer: signer.value, entry: { keyId, publicKey, name, namespaces: ['*'] } };
}

/** Signs `resources` as the whole next state of a namespace. */
export function signSet(
  mesh: FakeMesh,
  resources: readonly ReturnType<typeof resource>[],
  more: { parent?: SignedSet; namespace?: string; author?: ReturnType<typeof createAuthor> } = {},
): SignedSet {
  const namespace = more.namespace ?? 'shop';
  const map = new Map(resources.map((item) => [`${item.kind}/${item.metadata.name}`, item]));
  const { envelope, hash, commit } = createCommit({
    trustDomain: TRUST_DOMAIN,
    namespace,
    parent: more.parent?.head,
    resources: map,
    author: 'alice',
    nowMs: Date.now(),
    ttlMs: 24 * HOUR_MS,
    signer: (more.author ?? mesh.author).signer,
  });
  return {
    namespace,
    commits: [envelope],
    full: more.parent === undefined,
    changes: changesBetween(more.parent, map),
    head: { number: commit.number, hash, commit, envelope },
  };
}

/** The root namespace's set, without which no sidecar enforces anything: a Mesh. */
export function signRoot(mesh: FakeMesh): SignedSet {
  const namespace = 'palisade-system';
  return signSet(mesh, [resource('Mesh', 'mesh', { trustDomain: TRUST_DOMAIN }, namespace)], {
    namespace,
  });
}

function changesBetween(parent: SignedSet | undefined, after: ReadonlyMap<string, unknown>) {
  const gone = (parent?.changes ?? []).filter(({ key }) => !after.has(key));
  return [
    ...Array.from(after, ([key, value]) => ({ key, resource: value })),
    ...gone.map(({ key }) => ({ key, resource: undefined })),
  ];
}

/** One subscriber as the fake distribution sees it. */
export type Subscriber = {
  readonly hello: Hello;
  readonly acks: Ack[];
  readonly lookups: Lookup[];
  /** `clean` when it said goodbye. */
  ended: 'no' | 'clean' | 'broken';
  readonly send: (message: SubscribeResponse['message'] | object) => void;
  /** Ends the stream with an error. */
  readonly fail: () => void;
};

/** A distribution and telemetry service that does what a test says. */
export type FakeDistribution = {
  readonly services: readonly GrpcService[];
  readonly subscribers: Subscriber[];
  readonly reports: ReportRequest[];
  /** Whether reports are acknowledged. */
  isAcking: boolean;
  /** Resolves as soon as `condition` holds; checked after every message. */
  readonly until: <T>(condition: () => T | undefined) => Promise<T>;
};

/** Creates one that serves nothing yet. */
export function createFakeDistribution(): FakeDistribution {
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const check of Array.from(waiting)) check();
  };
  const fake: FakeDistribution = {
    subscribers: [],
    reports: [],
    isAcking: true,
    services: [
      { service: Distribution, implementation: { subscribe: (call: SubscribeCall) => take(call) } },
      { service: Telemetry, implementation: { report: (call: ReportCall) => report(call) } },
    ],
    until: (condition) =>
      new Promise((resolve) => {
        const check = () => {
          const value = condition();
          if (value === undefined || value === false) return;
          waiting.delete(check);
          resolve(value);
        };
        waiting.add(check);
        check();
      }),
  };
  function take(call: SubscribeCall): void {
    let subscriber: Subscriber | undefined;
    const end = (how: 'clean' | 'broken') => {
      if (subscriber?.ended === 'no') subscriber.ended = how;
      changed();
    };
    call.on('data', ({ message }: SubscribeRequest) => {
      if (message.case === 'hello') {
        subscriber = subscriberOf(call, message.value);
        fake.subscribers.push(subscriber);
      }
      if (message.case === 'ack') subscriber?.acks.push(message.value);
      if (message.case === 'lookup') subscriber?.lookups.push(message.value);
      changed();
    });
    call.on('end', () => {
      end('clean');
      call.end();
    });
    call.on('cancelled', () => end('broken'));
    call.on('close', () => end('broken'));
  }
  function report(call: ReportCall): void {
    call.on('data', (request: ReportRequest) => {
      fake.reports.push(request);
      if (fake.isAcking) {
        call.write(createMessage(ReportResponseSchema, { ackedSeq: request.lastSeq }));
      }
      changed();
    });
  }
  return fake;
}

type SubscribeCall = GrpcCall<SubscribeRequest, SubscribeResponse>;
type ReportCall = GrpcCall<ReportRequest, unknown>;

function subscriberOf(call: SubscribeCall, hello: Hello): Subscriber {
  return {
    hello,
    acks: [],
    lookups: [],
    ended: 'no',
    send: (message) =>
      call.write(createMessage(SubscribeResponseSchema, { message: message as never })),
    fail: () => call.refuse({ code: 14, details: 'gone' }),
  };
}

/** A signed set as a message. */
export function setMessage(update: PolicySetUpdate) {
  return { case: 'policySet', value: encodeUpdate(update) };
}

/** Serves a fake agent on the mesh's socket: `distribution`, and identities under `spiffeId`. */
export async function startFakeAgent(
  mesh: FakeMesh,
  distribution: FakeDistribution,
  spiffeId = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`,
) {
  const calls = new Set<GrpcCall<unknown, X509SVIDResponse>>();
  const fetchX509SVID = (call: GrpcCall<unknown, X509SVIDResponse>) => {
    calls.add(call);
    call.on('cancelled', () => calls.delete(call));
    call.write(svidResponse(mesh, spiffeId));
  };
  const server = createGrpcServer<true>([
    ...distribution.services,
    { service: SpiffeWorkloadAPI, implementation: { fetchX509SVID } },
  ]);
  rmSync(mesh.socketPath, { force: true });
  await server.listenUnix({ path: mesh.socketPath, identify: () => true });
  return {
    rotate: (response = svidResponse(mesh, spiffeId)) => {
      for (const call of calls) call.write(response);
    },
    close: server.close,
  };
}

/** An answer of FetchX509SVID with a fresh key. */
export function svidResponse(mesh: FakeMesh, spiffeId: string): X509SVIDResponse {
  const { privateKey, publicKey } = createKeyPair();
  const leaf = mesh.issue(spiffeId, publicKey.export({ type: 'spki', format: 'der' }));
  return createMessage(X509SVIDResponseSchema, {
    svids: [
      {
        spiffeId,
        x509Svid: leaf,
        x509SvidKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
        bundle: mesh.rootDer,
      },
    ],
  });
}

/** Serves a TLS gRPC server of the mesh's own, e.g. `/palisade/control`. */
export async function startMeshServer(
  mesh: FakeMesh,
  path: string,
  services: readonly GrpcService[],
) {
  const { privateKey, publicKey } = createKeyPair();
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const material = {
    chainPem: derToPem(mesh.issue(`spiffe://${TRUST_DOMAIN}${path}`, spki)),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    rootsPem: [mesh.rootPem],
  };
  const server = createGrpcServer<true>(services);
  const port = await server.listenTls({
    host: '127.0.0.1',
    port: 0,
    material: () => material,
    identify: () => true,
  });
  return { address: `127.0.0.1:${port}`, close: server.close };
}
