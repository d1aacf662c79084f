// The same contract as in files, against a real PostgreSQL.
import { after, test } from 'node:test';
import { openPostgresStore } from '#record-store';
import { recordStoreContract } from '../../src/record-store/contract.ts';
import { type PostgresServer, postgresFolder, startPostgres } from './postgres-server.ts';

const programs = postgresFolder();
const BOUNDS = { maxBytes: 1024 ** 3, maxAgeMs: 7 * 24 * 3_600_000 };

if (programs === undefined) {
  test('records in PostgreSQL', {
    skip: 'PostgreSQL is not installed (Debian: postgresql)',
  }, () => {});
} else {
  let server: Promise<PostgresServer> | undefined;
  after(async () => (await server)?.close());
  recordStoreContract('in PostgreSQL', async () => {
    server ??= startPostgres(programs);
    return openPostgresStore({ url: (await server).database(), bounds: BOUNDS });
  });
}
