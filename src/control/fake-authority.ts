import { randomBytes } from 'node:crypto';
import {
  createKeyPair,
  createRoot,
  derToPem,
  type Issuer,
  issueX509Svid,
  parseCsr,
  parseSpiffeId,
  parseTrustDomain,
  type TrustDomain,
} from '#identity';
import {
  createGrpcServer,
  createMessage,
  type EnrolRequest,
  Issuance,
  type IssueX509SvidRequest,
  type LogEntry,
  LogEntrySchema,
  ReadLogResponseSchema,
  type TlsMaterial,
  X509SvidResponseSchema,
} from '#wire';

/** A certificate authority as small as tests need it: it believes everybody. */
export type FakeAuthority = {
  readonly trustDomain: TrustDomain;
  readonly rootDer: Uint8Array;
  /** A certificate and key for any SPIFFE ID. */
  readonly issue: (id: string, ttlMs?: number) => TlsMaterial;
  /** Serves Issuance on a port, by default any free one; resolves to its address. */
  readonly listen: (port?: number) => Promise<string>;
  /** Goes on with its log as if what was there had been another one. */
  readonly fork: () => void;
  readonly close: () => Promise<void>;
};

type Done = (error: null, value: unknown) => void;

const HOUR_MS = 3_600_000;

/** Creates an authority for `name`; another one of the same name is a foreign one. `ttlMs` is what CSRs get. */
export function createFakeAuthority(name = 'cluster.local', ttlMs = HOUR_MS): FakeAuthority {
  const parsed = parseTrustDomain(name);
  if (!parsed.ok) throw new Error(parsed.error);
  const trustDomain = parsed.value;
  const root = createRoot({ trustDomain, nowMs: Date.now(), ttlMs: 24 * HOUR_MS });
  const log: LogEntry[] = [];

  const answerCsr = (csr: Uint8Array) => {
    const request = parseCsr(csr);
    if (!request.ok) throw new Error(request.error);
    const { id, publicKeyDer } = request.value;
    const leaf = leafOf(root, { id: id.text, publicKeyDer, ttlMs });
    log.push(entryOf(log, id.text, leaf));
    return createMessage(X509SvidResponseSchema, { chain: [leaf], roots: [root.certificateDer] });
  };
  const server = createGrpcServer<true>([
    {
      service: Issuance,
      implementation: {
        enrol: (call: { request: EnrolRequest }, done: Done) =>
          done(null, answerCsr(call.request.csr)),
        issueX509Svid: (call: { request: IssueX509SvidRequest }, done: Done) =>
          done(null, answerCsr(call.request.csr)),
        readLog: (call: { request: { after: bigint } }, done: Done) => {
          const entries = log.filter((entry) => entry.number > call.request.after);
          done(null, createMessage(ReadLogResponseSchema, { entries }));
        },
      },
    },
  ]);

  const issue = (id: string, lifeMs = HOUR_MS): TlsMaterial => {
    const { publicKey, privateKey } = createKeyPair();
    const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
    return {
      chainPem: derToPem(leafOf(root, { id, publicKeyDer, ttlMs: lifeMs })),
      privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      rootsPem: [root.certificatePem],
    };
  };
  return {
    trustDomain,
    rootDer: root.certificateDer,
    issue,
    async listen(port = 0) {
      const material = issue(`spiffe://${name}/palisade/ca`);
      const bound = await server.listenTls({
        host: '127.0.0.1',
        port,
        material: () => material,
        identify: () => true,
      });
      return `127.0.0.1:${bound}`;
    },
    fork() {
      const id = `spiffe://${name}/palisade/forked`;
      log.push({ ...entryOf(log, id, randomBytes(16)), previousHash: 'of-another-log' });
    },
    close: () => server.close(),
  };
}

function leafOf(
  issuer: Issuer,
  asked: { readonly id: string; readonly publicKeyDer: Uint8Array; readonly ttlMs: number },
): Uint8Array {
  const id = parseSpiffeId(asked.id);
  if (!id.ok) throw new Error(id.error);
  const serial = randomBytes(16);
  serial[0] = 0x40;
  const { publicKeyDer, ttlMs } = asked;
  const notBefore = Date.now() - 60_000;
  return issueX509Svid({
    issuer,
    id: id.value,
    publicKeyDer,
    serial,
    notBefore,
    expiresAt: Date.now() + ttlMs,
  });
}

function entryOf(log: readonly LogEntry[], spiffeId: string, leaf: Uint8Array): LogEntry {
  const number = BigInt(log.length + 1);
  return createMessage(LogEntrySchema, {
    number,
    hash: `hash-${number}`,
    previousHash: log.at(-1)?.hash ?? '',
    timeMs: BigInt(Date.now()),
    expiresAtMs: BigInt(Date.now() + HOUR_MS),
    spiffeId,
    serial: Buffer.from(leaf).toString('hex').slice(0, 32),
    allowedBy: 'enrol',
  });
}
