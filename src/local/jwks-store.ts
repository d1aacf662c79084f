import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT, type Log } from '#telemetry';
import { makePrivateFolder, writeFileDurably } from './private-file.ts';

/** The last good keys of token issuers below a proxy's folder, so that it verifies tokens before it reaches anybody. */
export function createJwksStore(
  folder: string,
  log: Log,
): {
  readonly load: (uri: string) => string | undefined;
  readonly save: (uri: string, text: string) => void;
} {
  const path = join(folder, 'jwks');
  const fileOf = (uri: string) => join(path, `${hash('sha256', uri)}.json`);
  return {
    load(uri) {
      try {
        const file = fileOf(uri);
        return statSync(file).size > MAX_BYTES ? undefined : readFileSync(file, 'utf8');
      } catch {
        // Never fetched, or not readable: it is fetched then.
        return undefined;
      }
    },
    save(uri, text) {
      try {
        makePrivateFolder(path);
        writeFileDurably(fileOf(uri), text);
      } catch (error) {
        // A full disk: the keys serve from memory until the next start.
        log.warn(EVENT.jwksNotKept, { uri, error });
      }
    },
  };
}

const MAX_BYTES = 1024 * 1024;
