// A PostgreSQL server of the tests' own: Debian's programs, in a folder of its own, for loopback alone.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './mesh.ts';

/** A running server. */
export type PostgresServer = {
  /** The URL of a new, empty database. */
  readonly database: () => string;
  readonly close: () => Promise<void>;
};

const START_MS = 20_000;
const VERSIONS = '/usr/lib/postgresql';

/** The folder with `initdb` and `postgres`; undefined where PostgreSQL is not installed. */
export function postgresFolder(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  return versions
    .map((version) => join(VERSIONS, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'initdb')));
}

/** Starts a server; PostgreSQL does not run as root, so that root lends it another user. */
export async function startPostgres(programs: string): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-postgres-'));
  const user = process.getuid?.() === 0 ? userId('postgres') : {};
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid ?? user.uid);
  const data = join(folder, 'data');
  const options = { ...user, cwd: folder };
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '--auth=trust', '--username=palisade', '--encoding=UTF8', '--no-sync'],
    { ...options, stdio: 'ignore' },
  );
  const port = await freePort();
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1'].flatMap((one) => ['-c', one]);
  const server = spawn(
    join(programs, 'postgres'),
    ['-D', data, '-p', String(port), '-k', folder, ...settings],
    { ...options, stdio: 'ignore' },
  );
  let databases = 0;
  try {
    await accepting(port, server);
  } catch (error) {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true });
    throw error;
  }
  return {
    database() {
      const name = `records_${++databases}`;
      const where = ['-h', '127.0.0.1', '-p', String(port), '-U', 'palisade'];
      execFileSync(join(programs, 'createdb'), [...where, name], { ...options, stdio: 'ignore' });
      return `postgres://palisade@127.0.0.1:${port}/${name}`;
    },
    async close() {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

function userId(name: string): { uid?: number; gid?: number } {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function accepting(port: number, server: ChildProcess): Promise<void> {
  const begun = Date.now();
  while (Date.now() - begun < START_MS && server.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const outcome = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (outcome) return;
    await delay(100);
  }
  throw new Error('PostgreSQL did not start');
}
