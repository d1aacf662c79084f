import { nameOf } from './issuers.ts';
import type { NotedToken } from './join-token-book.ts';

/** What of an authority expires. */
export type ExpiryKind = 'issuer' | 'authority' | 'jwt_key' | 'join_token';

/** One thing that expires; times in ms since 1970. */
export type Expiring = {
  readonly kind: ExpiryKind;
  /** Never a secret: half of a digest, a key id, or a host with the beginning of its token's id. */
  readonly name: string;
  readonly expiresAt: number;
  /** From when on it needs somebody; undefined where what follows it is there already. */
  readonly actAt: number | undefined;
  /** From when on the authority does not call itself ready: always before it expires. Undefined: never. */
  readonly unreadyAt: number | undefined;
  /** The command that helps, or what to look at. */
  readonly fix: string;
};

/** An issuer as the list knows it. */
export type IssuerLife = {
  readonly certificateDer: Uint8Array;
  readonly startsAt: number;
  readonly expiresAt: number;
  /** `left`: an intermediate whose upstream has another root now. */
  readonly origin: 'own' | 'upstream' | 'imported' | 'left';
  /** Whether certificates are signed with it now. */
  readonly isActive: boolean;
};

/** Where the list comes from. */
export type ExpirySources = {
  readonly issuers: () => readonly IssuerLife[];
  /** The authority's own serving certificate. */
  readonly authority: () => number;
  /** The keys that sign JWT-SVIDs now or later, the last to sign at the end. */
  readonly jwtKeys: () => readonly { readonly kid: string; readonly signsUntil: number }[];
  readonly joinTokens: () => readonly NotedToken[];
};

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const ROOT_NOTICE_MS = 365 * DAY_MS;
const IMPORT_NOTICE_MS = 30 * DAY_MS;
const AUTHORITY_NOTICE_MS = 6 * HOUR_MS;
// Half a day ahead of its time a key has its successor; one that has none by then could not be written.
const KEY_NOTICE_MS = 11 * HOUR_MS;

/** Everything of an authority that expires, soonest first. */
export function listExpiries(sources: ExpirySources): readonly Expiring[] {
  const keys = sources.jwtKeys();
  return [
    ...sources.issuers().map(ofIssuer),
    ofAuthority(sources.authority()),
    ...keys.map((key, i) => ofKey(key, i === keys.length - 1)),
    ...sources.joinTokens().map(ofToken),
  ].toSorted((a, b) => a.expiresAt - b.expiresAt);
}

/** Why the authority is not ready; undefined while nothing that it needs is about to expire. */
export function expiryProblem(expiries: readonly Expiring[], nowMs: number): string | undefined {
  const due = expiries.find(({ unreadyAt }) => unreadyAt !== undefined && nowMs >= unreadyAt);
  if (due === undefined) return undefined;
  const { kind, name, expiresAt, fix } = due;
  const verb = nowMs < expiresAt ? 'expires' : 'expired';
  return `${WORDS[kind]} \`${name}\` ${verb} at ${new Date(expiresAt).toISOString()}: ${fix}`;
}

const WORDS: Readonly<Record<ExpiryKind, string>> = {
  issuer: 'the issuer',
  authority: "the authority's own certificate",
  jwt_key: 'the last key for tokens',
  join_token: 'the join token',
};

function ofIssuer(issuer: IssuerLife): Expiring {
  const { origin, startsAt, expiresAt, isActive } = issuer;
  const lifeMs = expiresAt - startsAt;
  const noticeMs = {
    own: Math.min(ROOT_NOTICE_MS, lifeMs / 3),
    imported: Math.min(IMPORT_NOTICE_MS, lifeMs / 3),
    // It is signed anew from half of its life on.
    upstream: lifeMs / 4,
    left: lifeMs / 2,
  }[origin];
  return {
    kind: 'issuer',
    name: nameOf(issuer),
    expiresAt,
    actAt: isActive ? expiresAt - noticeMs : undefined,
    unreadyAt: isActive ? expiresAt - Math.min(HOUR_MS, lifeMs / 20) : undefined,
    fix: FIXES[origin],
  };
}

const FIXES: Readonly<Record<IssuerLife['origin'], string>> = {
  own: 'palisade ca rotate',
  imported: 'palisade ca csr, then palisade ca import-chain FILE with what was signed',
  upstream: "renews itself at its upstream: see the authority's log",
  left: 'palisade ca rotate, which moves below the root that its upstream has now',
};

function ofAuthority(expiresAt: number): Expiring {
  return {
    kind: 'authority',
    name: 'palisade/ca',
    expiresAt,
    actAt: expiresAt - AUTHORITY_NOTICE_MS,
    unreadyAt: expiresAt - MINUTE_MS,
    fix: 'renews itself: see its log',
  };
}

function ofKey(
  { kid, signsUntil }: { readonly kid: string; readonly signsUntil: number },
  isLast: boolean,
): Expiring {
  return {
    kind: 'jwt_key',
    name: kid,
    expiresAt: signsUntil,
    actAt: isLast ? signsUntil - KEY_NOTICE_MS : undefined,
    unreadyAt: isLast ? signsUntil - HOUR_MS : undefined,
    fix: "rotates itself: see the authority's log, and whether its disk is full",
  };
}

function ofToken({ id, host, expiresAt, notedAt }: NotedToken): Expiring {
  return {
    kind: 'join_token',
    name: `${host} (${id.slice(0, 8)})`,
    expiresAt,
    actAt: expiresAt - (expiresAt - notedAt) / 10,
    // Nobody who is in needs it.
    unreadyAt: undefined,
    fix: `palisade token create --host ${host}`,
  };
}
