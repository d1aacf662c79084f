// The store that a benchmark asks: files, or with BENCH_STORE=postgres a PostgreSQL of its own (Debian's programs, loopback
// alone). BENCH_FOLDER keeps what it holds for the next run.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPostgresStore, openThreadedStore, type RecordStore } from '#record-store';
import {
  type PostgresServer,
  postgresFolder,
  startPostgres,
} from '../test/system/postgres-server.ts';

/** A store and how to leave it, which removes what is not to be kept. */
export type BenchStore = { readonly store: RecordStore; readonly close: () => Promise<void> };

const DAY_MS = 24 * 3_600_000;
const BOUNDS = { maxBytes: 64 * 1024 ** 3, maxAgeMs: 3_650 * DAY_MS };
// What a server gets that is used for this alone; writes wait for the disk as they do by default.
const SETTINGS = [
  'shared_buffers=2GB',
  'max_wal_size=8GB',
  'work_mem=16MB',
  'random_page_cost=1.1',
];

// Linux counts in hundredths of a second.
const TICK_MS = 10;

/** Opens the store; undefined, having said so, where what it needs is not installed. */
export async function openBenchStore(): Promise<BenchStore | undefined> {
  const kept = process.env['BENCH_FOLDER'];
  if (isPostgresAsked()) return openPostgres(kept);
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'palisade-query-'));
  const store = await openThreadedStore({ folder, bounds: BOUNDS, onLost: console.error });
  return {
    store,
    async close() {
      await store.close();
      if (kept === undefined) rmSync(folder, { recursive: true });
    },
  };
}

/** Whether BENCH_STORE asks for PostgreSQL. */
export function isPostgresAsked(): boolean {
  return process.env['BENCH_STORE'] === 'postgres';
}

/** Starts a server; undefined, having said so, where PostgreSQL is not installed. */
export async function startBenchPostgres(folder?: string): Promise<PostgresServer | undefined> {
  const programs = postgresFolder();
  if (programs !== undefined) return await startPostgres(programs, { folder, settings: SETTINGS });
  console.log('skipped: PostgreSQL is not installed (Debian: postgresql)');
  return undefined;
}

/** CPU time of a server's sessions that are still open, in ms. */
export function cpuMsOf({ pid }: PostgresServer): number {
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // After the name, which may hold anything: state, parent, and from the twelfth on what it used.
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === pid) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // A process that ended meanwhile.
    }
  }
  return ticks * TICK_MS;
}

async function openPostgres(folder: string | undefined): Promise<BenchStore | undefined> {
  const server = await startBenchPostgres(folder);
  if (server === undefined) return undefined;
  const store = await openPostgresStore({ url: server.database('bench'), bounds: BOUNDS }).catch(
    async (error: unknown) => {
      await server.close();
      throw error;
    },
  );
  return {
    store,
    async close() {
      await store.close();
      await server.close();
    },
  };
}
