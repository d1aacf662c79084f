import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fail, ok, type Result } from '#lib';

/** A folder of private files that are replaced whole. */
export type StateFolder = {
  readonly path: string;
  /** The file's JSON; undefined if it is missing or no JSON. */
  readonly readJson: (name: string) => unknown;
  /** Replaces a file so that a crash leaves the old one or the new one, never half; rejects if the disk refuses. */
  readonly writeJson: (name: string, value: unknown) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
};

/** `openStateFolder`, failing in words where the folder cannot be made or is another user's. */
export function tryStateFolder(path: string): Result<StateFolder, string> {
  try {
    return ok(openStateFolder(path));
  } catch (error) {
    return fail(`the folder \`${path}\` cannot be used: ${(error as Error).message}`);
  }
}

/** Opens (and makes) a folder that only its owner may enter; files get mode 0600. */
export function openStateFolder(path: string): StateFolder {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  removeLeftovers(path);
  return {
    path,
    readJson(name) {
      try {
        return JSON.parse(readFileSync(join(path, name), 'utf8')) as unknown;
      } catch {
        // Missing, unreadable or torn all mean: nothing usable. What was in it is verified anew anyhow.
        return undefined;
      }
    },
    writeJson: (name, value) => replaceFile(join(path, name), JSON.stringify(value)),
    remove: (name) => rm(join(path, name), { force: true }),
  };
}

let writes = 0;

/** Removes what a killed process had not renamed yet; a folder has one process at a time, told by its pid. */
function removeLeftovers(path: string): void {
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    const pid = /\.(\d+)-\d+\.tmp$/.exec(name)?.[1];
    if (pid !== undefined && Number(pid) !== process.pid) rmSync(join(path, name), { force: true });
  }
}

async function replaceFile(path: string, content: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}-${++writes}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

// Without it the rename itself could be lost with the power, and an older version be there again.
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
