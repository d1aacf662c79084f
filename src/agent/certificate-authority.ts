import { status } from '@grpc/grpc-js';
import type { RevocationCheck, WorkloadIdentity } from '#identity';
import {
  createGrpcClient,
  type FetchJwtKeysResponse,
  type FetchRedactionKeysResponse,
  type GrpcClient,
  Issuance,
  type JwtSvidResponse,
  type ReadLogResponse,
  type X509SvidResponse,
} from '#wire';
import { createChannelPool } from './channel-pool.ts';
import { type CertificateRequest, converse } from './evidence/converse.ts';
import type { EvidenceSource } from './evidence/evidence-source.ts';
import { createIssueCalls } from './issue-calls.ts';
import { expectServer, type X509Trust } from './trusted-root.ts';

/** Signs certificates and tokens for the agent and its workloads: the CA, or a test's. Calls reject with a gRPC error. */
export type CertificateAuthority = {
  readonly enrol: (joinToken: string, csr: Uint8Array) => Promise<X509SvidResponse>;
  /** Proves this host anew. */
  readonly attest: (
    source: EvidenceSource,
    request: CertificateRequest,
  ) => Promise<X509SvidResponse>;
  readonly issue: (
    as: WorkloadIdentity,
    csr: Uint8Array,
    selectors: readonly string[],
  ) => Promise<X509SvidResponse>;
  readonly issueJwt: (as: WorkloadIdentity, request: JwtRequest) => Promise<JwtSvidResponse>;
  readonly fetchJwtKeys: (as: WorkloadIdentity) => Promise<FetchJwtKeysResponse>;
  /** SECURITY: what comes is for the sidecars of this host, in memory alone. */
  readonly fetchRedactionKeys: (as: WorkloadIdentity) => Promise<FetchRedactionKeysResponse>;
  /** The issuance log after entry `after`. */
  readonly readLog: (
    as: WorkloadIdentity,
    after: number,
    limit: number,
  ) => Promise<ReadLogResponse>;
  readonly close: () => void;
};

/** A JWT-SVID as it is asked for. */
export type JwtRequest = {
  readonly spiffeId: string;
  readonly audience: readonly string[];
  readonly selectors: readonly string[];
};

/** Talks to the CA at `address` (`host:port`), whose identity is checked. */
export function createCertificateAuthority(options: {
  readonly address: string;
  /** The pinned roots now. */
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly revoked: () => RevocationCheck;
}): CertificateAuthority {
  const { address, trust } = options;
  const pool = createChannelPool({ ...options, role: 'ca' });
  const calls = createIssueCalls(pool);
  let hasIssue = true;

  /** An authority of an earlier version knows calls only. */
  async function orByItself<T>(many: () => Promise<T>, itself: () => Promise<T>): Promise<T> {
    if (!hasIssue) return itself();
    try {
      return await many();
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== status.UNIMPLEMENTED) throw error;
      hasIssue = false;
      return itself();
    }
  }

  async function call<T>(
    as: WorkloadIdentity,
    work: (client: GrpcClient) => Promise<T>,
  ): Promise<T> {
    const { client, release } = pool.acquire(Issuance, as);
    try {
      return await work(client);
    } finally {
      release();
    }
  }

  /** Without a certificate as yet, and once: a connection of its own. */
  async function callAsStranger<T>(work: (client: GrpcClient) => Promise<T>): Promise<T> {
    const { bundle, rootsPem } = trust();
    const spiffeId = `spiffe://${bundle.trustDomain}/palisade/ca`;
    const verifyServer = expectServer(trust(), spiffeId, options);
    const client = createGrpcClient(Issuance, { kind: 'tls', address, rootsPem, verifyServer });
    try {
      return await work(client);
    } finally {
      client.close();
    }
  }

  return {
    enrol: (joinToken, csr) =>
      callAsStranger((client) => client.unary(Issuance.method.enrol, { joinToken, csr })),
    attest: (source, request) => callAsStranger((client) => converse(client, source, request)),
    issue(as, csr, selectors) {
      const value = { csr, selectors: [...selectors] };
      return orByItself(
        () => calls.x509(as, { case: 'x509Svid', value }),
        () => call(as, (client) => client.unary(Issuance.method.issueX509Svid, value)),
      );
    },
    issueJwt(as, { spiffeId, audience, selectors }) {
      const value = { spiffeId, audience: [...audience], selectors: [...selectors] };
      return orByItself(
        () => calls.jwt(as, { case: 'jwtSvid', value }),
        () => call(as, (client) => client.unary(Issuance.method.issueJwtSvid, value)),
      );
    },
    fetchJwtKeys: (as) => call(as, (client) => client.unary(Issuance.method.fetchJwtKeys, {})),
    fetchRedactionKeys: (as) =>
      call(as, (client) => client.unary(Issuance.method.fetchRedactionKeys, {})),
    readLog: (as, after, limit) =>
      call(as, (client) => client.unary(Issuance.method.readLog, { after: BigInt(after), limit })),
    close() {
      calls.close();
      pool.close();
    },
  };
}

/** The same authority, each of whose certificates `note` hears of before anybody uses it. */
export function noted(
  authority: CertificateAuthority,
  note: (response: X509SvidResponse) => void,
): CertificateAuthority {
  const hear = async (asked: Promise<X509SvidResponse>): Promise<X509SvidResponse> => {
    const response = await asked;
    note(response);
    return response;
  };
  return {
    ...authority,
    enrol: (joinToken, csr) => hear(authority.enrol(joinToken, csr)),
    issue: (as, csr, selectors) => hear(authority.issue(as, csr, selectors)),
  };
}
