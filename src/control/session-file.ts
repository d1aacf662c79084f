import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

/** Keeps console sessions over a restart: when each ends (ms since 1970), by the SHA-256 of its secret. */
export type SessionStore = {
  readonly load: () => ReadonlyMap<string, number>;
  readonly save: (sessions: ReadonlyMap<string, number>) => void;
};

const CONTENT = z.array(z.tuple([z.string().regex(/^[0-9a-f]{64}$/), z.number()])).max(1_000);

/**
 * Sessions in a file of mode 0600. What cannot be read or written costs a sign-in and nothing else, so it is only
 * told to `onError`.
 */
export function createSessionFile(path: string, onError: (error: unknown) => void): SessionStore {
  return {
    load() {
      try {
        return new Map(CONTENT.parse(JSON.parse(readFileSync(path, 'utf8'))));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onError(error);
        return new Map();
      }
    },
    save(sessions) {
      try {
        writeFileSync(`${path}.new`, JSON.stringify([...sessions]), { mode: 0o600 });
        renameSync(`${path}.new`, path);
      } catch (error) {
        onError(error);
      }
    },
  };
}
