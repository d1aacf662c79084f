// A certificate authority for this layer's tests that issues whatever it is asked for.
import { createKeyPair, jwtKeyOf, parseCsr, parseSpiffeId, signJwtSvid } from '#identity';
import { encodeEnvelope, signJwtKeys } from '#trust';
import {
  createMessage,
  FetchJwtKeysResponseSchema,
  FetchRedactionKeysResponseSchema,
  type GrpcService,
  Issuance,
  type IssueJwtSvidRequest,
  type IssueX509SvidRequest,
  JwtSvidResponseSchema,
  X509SvidResponseSchema,
} from '#wire';
import { type FakeMesh, TRUST_DOMAIN } from './fake-mesh.ts';

type Done = (error: unknown, response?: unknown) => void;

const HOUR_MS = 3_600_000;

/** A CA that signs every request, unless its `refuse` says otherwise; `requests` tells what was asked. */
export function createFakeAuthority(mesh: FakeMesh, ttlMs = HOUR_MS) {
  const jwt = createFakeTokens(mesh);
  const fake = {
    refuse: () => false as boolean,
    requests: [] as { id: string; selectors: readonly string[] }[],
    jwt,
    redactionKeys: [{ period: '2026-01-31', key: Buffer.alloc(32, 7) }],
    service: {
      service: Issuance,
      implementation: {
        enrol: (call: { request: { csr: Uint8Array } }, done: Done) =>
          answer(call.request.csr, [], done),
        issueX509Svid: (call: { request: IssueX509SvidRequest }, done: Done) =>
          answer(call.request.csr, call.request.selectors, done),
        issueJwtSvid: (call: { request: IssueJwtSvidRequest }, done: Done) => {
          if (fake.refuse()) return done({ code: 14, details: 'refused' });
          return jwt.issue(call.request, done);
        },
        fetchJwtKeys: (_call: unknown, done: Done) =>
          done(null, createMessage(FetchJwtKeysResponseSchema, { envelope: jwt.envelope() })),
        fetchRedactionKeys: (_call: unknown, done: Done) =>
          done(null, createMessage(FetchRedactionKeysResponseSchema, { keys: fake.redactionKeys })),
      },
    } as unknown as GrpcService,
  };
  function answer(der: Uint8Array, selectors: readonly string[], done: Done): void {
    const csr = parseCsr(der);
    if (!csr.ok || fake.refuse()) return done({ code: 7, details: 'refused' });
    fake.requests.push({ id: csr.value.id.text, selectors });
    const leaf = mesh.issue(csr.value.id.text, csr.value.publicKeyDer, ttlMs);
    const response = { chain: [leaf], roots: [mesh.rootDer] };
    return done(null, createMessage(X509SvidResponseSchema, response));
  }
  return fake;
}

/** The fake authority's side of JWT-SVIDs: `rotate` replaces its key. */
function createFakeTokens(mesh: FakeMesh) {
  let pair = createKeyPair();
  let sequence = 1;
  const tokens = {
    requests: [] as IssueJwtSvidRequest[],
    ttlMs: 300_000,
    /** The gRPC status of the next answers; undefined for a token. */
    refuseWith: undefined as number | undefined,
    rotate() {
      pair = createKeyPair();
      sequence++;
    },
    /** As an authority would that forgot what it had said. */
    rollBack() {
      sequence -= 2;
    },
    envelope() {
      const set = { sequence, keys: [jwtKeyOf(pair.publicKey)] };
      const options = { trustDomain: TRUST_DOMAIN, nowMs: Date.now(), signer: mesh.logSigner };
      return encodeEnvelope(signJwtKeys(set, options));
    },
    sign(spiffeId: string, audience: readonly string[], issuedAt = Date.now()) {
      const id = parseSpiffeId(spiffeId);
      if (!id.ok) throw new Error(id.error);
      const expiresAt = issuedAt + tokens.ttlMs;
      const key = { kid: jwtKeyOf(pair.publicKey).kid, privateKey: pair.privateKey };
      return signJwtSvid({ key, id: id.value, audience, issuedAt, expiresAt, jti: `${sequence}` });
    },
    issue(request: IssueJwtSvidRequest, done: Done): void {
      if (tokens.refuseWith !== undefined) {
        return done({ code: tokens.refuseWith, details: 'refused' });
      }
      tokens.requests.push(request);
      const issuedAt = Date.now();
      const response = {
        token: tokens.sign(request.spiffeId, request.audience, issuedAt),
        issuedAtMs: BigInt(issuedAt),
        expiresAtMs: BigInt(issuedAt + tokens.ttlMs),
        keysSequence: BigInt(sequence),
      };
      return done(null, createMessage(JwtSvidResponseSchema, response));
    },
  };
  return tokens;
}
