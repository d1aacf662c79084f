import type { DatabaseSync } from 'node:sqlite';

/** A join token that an author told of; times in ms since 1970. */
export type NotedToken = {
  /** Names the token, and is of no use without its signature. */
  readonly id: string;
  readonly host: string;
  readonly expiresAt: number;
  readonly notedAt: number;
};

/** The join tokens that wait for their host. SECURITY: only for lists; whether a token counts is told by its signature. */
export type JoinTokenBook = {
  /** False where there are too many, or what is told cannot be. */
  readonly note: (token: NotedToken) => boolean;
  /** Those neither used nor expired. */
  readonly waiting: (nowMs: number) => readonly NotedToken[];
};

// SECURITY: who took over the control plane may tell of tokens without end.
const MAX_NOTED = 1_000;

/** Opens the book in an authority's database. */
export function openJoinTokenBook(database: DatabaseSync): JoinTokenBook {
  const forget = database.prepare('DELETE FROM noted_token WHERE expires_at <= ?');
  const count = database.prepare('SELECT count(*) AS n FROM noted_token');
  const insert = database.prepare(
    'INSERT INTO noted_token (id, host, expires_at, noted_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const select = database.prepare(
    'SELECT id, host, expires_at, noted_at FROM noted_token WHERE expires_at > ? AND id NOT IN (SELECT id FROM spent_token)',
  );
  return {
    note({ id, host, expiresAt, notedAt }) {
      forget.run(notedAt);
      if (Number(count.get()?.['n']) >= MAX_NOTED) return false;
      insert.run(id, host, expiresAt, notedAt);
      return true;
    },
    waiting: (nowMs) =>
      select.all(nowMs).map((row) => ({
        id: String(row['id']),
        host: String(row['host']),
        expiresAt: Number(row['expires_at']),
        notedAt: Number(row['noted_at']),
      })),
  };
}
