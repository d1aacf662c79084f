import { hash } from 'node:crypto';
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  type Revocable,
  type RevocationCheck,
  revocableOf,
  type SpiffeId,
  type WorkloadIdentity,
} from '#identity';
import { fail, ok, type Result, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { CallRefusal } from '#wire';
import type { CertificateAuthority } from './certificate-authority.ts';
import type { JwtKeySource } from './jwt-keys.ts';

/** A JWT-SVID as a workload asks for it. */
export type TokenRequest = {
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  /** What was attested of the workload. */
  readonly selectors: readonly string[];
};

/** JWT-SVIDs of this host's workloads, asked for when somebody wants one and used again until half of their life. */
export type JwtSource = {
  /** A token for an identity that the caller has already been found entitled to. */
  readonly fetch: (request: TokenRequest) => Promise<Result<string, CallRefusal>>;
};

/** What the source works with. */
export type JwtSourceOptions = {
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly authority: Pick<CertificateAuthority, 'issueJwt'>;
  readonly keys: JwtKeySource;
  readonly revocations: Source<RevocationCheck>;
  readonly clock: () => number;
  readonly log: Log;
};

type Kept = {
  readonly token: string;
  readonly kid: string;
  readonly revocable: Revocable;
  readonly freshUntil: number;
  readonly expiresAt: number;
};

// SECURITY: a workload may name any audience; what is kept of them is bounded, oldest first.
const MAX_KEPT_CHARACTERS = 4 * 1024 * 1024;
const MAX_KEY_LENGTH = 512;
// A token that is about to expire is of no use to whom it is shown.
const LEAST_LIFE_MS = 10_000;

/** Creates the source; it keeps tokens in memory alone. */
export function createJwtSource(options: JwtSourceOptions): JwtSource {
  const { agent, authority, clock, keys, log, revocations } = options;
  const kept = new Map<string, Kept>();
  let characters = 0;
  const asking = new Map<string, Promise<Result<string, CallRefusal>>>();

  function usable(key: string): Kept | undefined {
    const token = kept.get(key);
    if (token === undefined) return undefined;
    // SECURITY: a key that was taken out of the document takes its tokens with it.
    const published = keys.current()?.keys.some(({ kid }) => kid === token.kid) === true;
    const revoked = revocations.current()(token.revocable, clock());
    if (published && revoked === undefined && clock() < token.expiresAt - LEAST_LIFE_MS)
      return token;
    forget(key);
    return undefined;
  }

  function forget(key: string): void {
    characters -= kept.get(key)?.token.length ?? 0;
    kept.delete(key);
  }

  function keep(key: string, token: Kept): void {
    forget(key);
    kept.set(key, token);
    characters += token.token.length;
    for (const oldest of kept.keys()) {
      if (characters <= MAX_KEPT_CHARACTERS) break;
      forget(oldest);
    }
  }

  async function ask(key: string, request: TokenRequest): Promise<Result<string, CallRefusal>> {
    const as = agent.current();
    if (as === undefined) return orKept(key, NO_IDENTITY);
    try {
      const response = await authority.issueJwt(as, { ...request, spiffeId: request.id.text });
      const { token } = response;
      const issuedAt = Number(response.issuedAtMs);
      const expiresAt = Number(response.expiresAtMs);
      const freshUntil = issuedAt + (expiresAt - issuedAt) / 2;
      const kid = String(partOf(token, 0)['kid']);
      const revocable = revocableOf({ id: request.id, claims: partOf(token, 1) });
      keep(key, { token, kid, revocable, freshUntil, expiresAt });
      // Whoever gets this token may be verified by us in a moment.
      if (response.keysSequence > BigInt(keys.current()?.sequence ?? 0)) await keys.refresh();
      return ok(token);
    } catch (error) {
      const { code, details } = error as ServiceError;
      log.warn(EVENT.jwtSvidRefused, { spiffeId: request.id.text, code, reason: details });
      const isFinal = code === status.PERMISSION_DENIED || code === status.INVALID_ARGUMENT;
      if (!isFinal) return orKept(key, { code: code ?? status.UNAVAILABLE, details });
      forget(key);
      return fail({ code, details });
    }
  }

  // While the authority cannot be asked, what has not expired is still good.
  function orKept(key: string, refusal: CallRefusal): Result<string, CallRefusal> {
    const token = usable(key);
    if (token !== undefined) return ok(token.token);
    const { UNAVAILABLE, RESOURCE_EXHAUSTED } = status;
    const code = refusal.code === RESOURCE_EXHAUSTED ? RESOURCE_EXHAUSTED : UNAVAILABLE;
    return fail({ code, details: `no token can be issued now: ${refusal.details}` });
  }

  return {
    fetch(request) {
      const key = keyOf(request);
      const token = usable(key);
      if (token !== undefined && clock() < token.freshUntil) {
        return Promise.resolve(ok(token.token));
      }
      let answer = asking.get(key);
      if (answer === undefined) {
        answer = ask(key, request).finally(() => asking.delete(key));
        asking.set(key, answer);
      }
      return answer;
    },
  };
}

const NO_IDENTITY: CallRefusal = {
  code: status.UNAVAILABLE,
  details: 'the agent has no identity yet',
};

/** What names a request. SECURITY: a long one by its digest, since a workload may name any audience. */
function keyOf({ id, audience }: TokenRequest): string {
  const text = JSON.stringify([id.text, ...audience]);
  return text.length <= MAX_KEY_LENGTH ? text : hash('sha256', text);
}

/** A part of a token that the authority has just made. */
function partOf(token: string, part: 0 | 1): Record<string, unknown> {
  const text = Buffer.from(token.split('.')[part] ?? '', 'base64url').toString();
  return JSON.parse(text) as Record<string, unknown>;
}
