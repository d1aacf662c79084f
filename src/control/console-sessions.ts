import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SessionStore } from './session-file.ts';

/** Sign-in links and the sessions they open. Secrets are kept as digests only. */
export type ConsoleSessions = {
  /** A new one-time token, good for ten minutes. */
  readonly createLink: () => { readonly token: string; readonly expiresAt: number };
  /** Spends a token: a new session's secret for the cookie, or undefined if the token is not (or no longer) good. */
  readonly signIn: (
    token: string,
  ) => { readonly secret: string; readonly expiresAt: number } | undefined;
  /** When the session of this secret ends (ms since 1970); undefined if there is none. */
  readonly check: (secret: string) => number | undefined;
  readonly signOut: (secret: string) => void;
};

const LINK_MS = 10 * 60_000;
const SESSION_MS = 12 * 3_600_000;
const SECRET_BYTES = 32;
const MAX_LINKS = 100;
const MAX_SESSIONS = 1_000;

/** Sessions begin with those that `store` kept, so that a restart signs nobody out; `clock` in ms since 1970. */
export function createConsoleSessions(clock: () => number, store: SessionStore): ConsoleSessions {
  const links = new Map<string, { readonly digest: Buffer; readonly expiresAt: number }>();
  // By digest: finding one tells nothing about the secret, however long it takes.
  const sessions = new Map(store.load());

  function forgetExpired(): void {
    const now = clock();
    for (const [key, { expiresAt }] of links) if (expiresAt <= now) links.delete(key);
    for (const [key, expiresAt] of sessions) if (expiresAt <= now) sessions.delete(key);
  }

  return {
    createLink() {
      forgetExpired();
      forgetOldest(links, MAX_LINKS);
      const token = randomSecret();
      const expiresAt = clock() + LINK_MS;
      links.set(digestOf(token).toString('hex'), { digest: digestOf(token), expiresAt });
      return { token, expiresAt };
    },
    signIn(token) {
      forgetExpired();
      const digest = digestOf(token);
      let found: string | undefined;
      // SECURITY: every link is compared, in constant time.
      for (const [key, link] of links) if (timingSafeEqual(link.digest, digest)) found = key;
      if (found === undefined) return undefined;
      links.delete(found);
      forgetOldest(sessions, MAX_SESSIONS);
      const secret = randomSecret();
      const expiresAt = clock() + SESSION_MS;
      sessions.set(digestOf(secret).toString('hex'), expiresAt);
      store.save(sessions);
      return { secret, expiresAt };
    },
    check(secret) {
      const expiresAt = sessions.get(digestOf(secret).toString('hex'));
      return expiresAt !== undefined && expiresAt > clock() ? expiresAt : undefined;
    },
    signOut(secret) {
      if (sessions.delete(digestOf(secret).toString('hex'))) store.save(sessions);
    },
  };
}

function randomSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

// Maps keep the order of insertion, so the first is the oldest.
function forgetOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size < most) return;
    map.delete(key);
  }
}
