// A PostgreSQL server of the tests' own: Debian's programs, in a folder of its own, for loopback alone.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './mesh.ts';

/** A running server. */
export type PostgresServer = {
  /** The URL of a database, made where it is not there yet; a new, empty one where none is named. */
  readonly database: (name?: string) => string;
  /** The process whose children are the server's sessions. */
  readonly pid: number;
  readonly close: () => Promise<void>;
};

/** How a server runs: for tests, gone with all it held. */
export type PostgresServerOptions = {
  /** Where it lies and stays, also for a later start; absent: a folder that goes when it is closed. */
  readonly folder?: string | undefined;
  /** `name=value`, as in postgresql.conf. */
  readonly settings?: readonly string[];
};

const START_MS = 60_000;
const VERSIONS = '/usr/lib/postgresql';
const HASTY: readonly string[] = ['fsync=off'];

/** The folder with `initdb` and `postgres`; undefined where PostgreSQL is not installed. */
export function postgresFolder(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  return versions
    .map((version) => join(VERSIONS, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'initdb')));
}

/** Starts a server; PostgreSQL does not run as root, so that root lends it another user. */
export async function startPostgres(
  programs: string,
  { folder: kept, settings = HASTY }: PostgresServerOptions = {},
): Promise<PostgresServer> {
  const { folder, data, options } = prepareFolder(programs, kept);
  const port = await freePort();
  const flags = [...settings, 'listen_addresses=127.0.0.1'].flatMap((one) => ['-c', one]);
  const server = spawn(
    join(programs, 'postgres'),
    ['-D', data, '-p', String(port), '-k', folder, ...flags],
    { ...options, stdio: 'ignore' },
  );
  const where = ['-h', '127.0.0.1', '-p', String(port), '-U', 'palisade'];
  const isReady = (): boolean => spawnSync(join(programs, 'pg_isready'), where).status === 0;
  const remove = (): void => {
    if (kept === undefined) rmSync(folder, { recursive: true });
  };
  try {
    await accepting(server, isReady);
  } catch (error) {
    server.kill('SIGKILL');
    remove();
    throw error;
  }
  let databases = 0;
  const program = (name: string, args: readonly string[]): string => {
    return execFileSync(join(programs, name), [...where, ...args], {
      ...options,
      encoding: 'utf8',
    });
  };
  const names = (): readonly string[] =>
    program('psql', ['-d', 'postgres', '-Atc', 'SELECT datname FROM pg_database']).split('\n');
  return {
    pid: server.pid ?? 0,
    database(name) {
      const made = name ?? `records_${++databases}`;
      const isThere = name !== undefined && names().includes(name);
      if (!isThere) program('createdb', [made]);
      return `postgres://palisade@127.0.0.1:${port}/${made}`;
    },
    async close() {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      remove();
    },
  };
}

/** A folder with an empty cluster, or with the one that it has. */
function prepareFolder(programs: string, kept: string | undefined) {
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'palisade-postgres-'));
  mkdirSync(folder, { recursive: true });
  const user = process.getuid?.() === 0 ? userId('postgres') : {};
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid ?? user.uid);
  const data = join(folder, 'data');
  const options = { ...user, cwd: folder };
  if (!existsSync(data)) {
    execFileSync(
      join(programs, 'initdb'),
      ['-D', data, '--auth=trust', '--username=palisade', '--encoding=UTF8', '--no-sync'],
      { ...options, stdio: 'ignore' },
    );
  }
  return { folder, data, options };
}

function userId(name: string): { uid?: number; gid?: number } {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Until it takes questions; one that was killed reads its log first, with its port open. */
async function accepting(server: ChildProcess, isReady: () => boolean): Promise<void> {
  const begun = Date.now();
  while (Date.now() - begun < START_MS && server.exitCode === null) {
    if (isReady()) return;
    await delay(100);
  }
  throw new Error('PostgreSQL did not start');
}
