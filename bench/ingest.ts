// A control plane that takes in access records from forty nodes while somebody asks its API: how much of a core a record
// costs, and how long answers take meanwhile. Who sends and who asks are processes of their own. With BENCH_STORE=postgres the
// records go to a PostgreSQL.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Fixture, startFixture } from '../src/control/control-fixture.ts';
import type { PostgresServer } from '../test/system/postgres-server.ts';
import type { AskerOrder } from './api-asker.ts';
import type { SenderOrder, SenderReport } from './ingest-sender.ts';
import { quantile } from './quantile.ts';
import { cpuMsOf, isPostgresAsked, startBenchPostgres } from './record-stores.ts';

const PER_SECOND = Number(process.env['BENCH_RATE'] ?? 20_000);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 20);
const AGENT = 'spiffe://cluster.local/palisade/agent/host';

/** Prints the table and, last, `ingest <records a second of one core> records/s`. */
export default async function run(): Promise<void> {
  const server = isPostgresAsked() ? await startBenchPostgres() : undefined;
  if (isPostgresAsked() && server === undefined) return;
  try {
    await measure(server);
  } finally {
    await server?.close();
  }
}

async function measure(server: PostgresServer | undefined): Promise<void> {
  const mesh = await startFixture();
  if (server !== undefined) await keepIn(server, mesh);
  const [sender, asker] = ['ingest-sender.ts', 'api-asker.ts'].map((name) =>
    fork(fileURLToPath(new URL(name, import.meta.url))),
  );
  if (sender === undefined || asker === undefined) throw new Error('no processes');
  try {
    const { rootsPem, ...agent } = mesh.authority.issue(AGENT);
    const { apiPort, grpcPort } = mesh.control();
    const asked: AskerOrder = { apiPort, admin: mesh.admin };
    const order: SenderOrder = {
      grpcPort,
      rootsPem,
      agent,
      perSecond: PER_SECOND,
      seconds: SECONDS,
    };
    const before = process.cpuUsage();
    const serverBefore = server === undefined ? 0 : cpuMsOf(server);
    asker.send(asked);
    sender.send(order);
    const [report] = (await once(sender, 'message')) as [SenderReport];
    const { user, system } = process.cpuUsage(before);
    asker.send('enough');
    const [times] = (await once(asker, 'message')) as [readonly number[]];
    if (server !== undefined) {
      const us = ((cpuMsOf(server) - serverBefore) * 1_000) / report.acknowledged;
      console.log(`PostgreSQL: ${us.toFixed(1)} us of CPU a record`);
    }
    print(report, (user + system) / 1_000, times);
  } finally {
    sender.kill();
    asker.kill();
    await mesh.close();
  }
}

async function keepIn(server: PostgresServer, mesh: Fixture): Promise<void> {
  const settings = { postgres: server.database() };
  writeFileSync(join(mesh.folder, 'control', 'record-store.json'), JSON.stringify(settings));
  await mesh.restart();
}

function print(
  { sent, acknowledged, tookMs }: SenderReport,
  cpuMs: number,
  times: readonly number[],
): void {
  const rate = acknowledged / (tookMs / 1_000);
  const [p50, p95] = [0.5, 0.95].map((q) => quantile(times, q).toFixed(1));
  const perRecord = ((cpuMs * 1_000) / acknowledged).toFixed(1);
  console.log(`sent ${sent}, acknowledged ${acknowledged}: ${rate.toFixed(0)} records/s`);
  console.log(
    `control plane: ${(cpuMs / tookMs).toFixed(2)} cores, ${perRecord} us a record, answers included`,
  );
  console.log(`API meanwhile: p50 ${p50} ms, p95 ${p95} ms of ${times.length} answers`);
  console.log(`memory: ${(process.memoryUsage().rss / 1024 ** 2).toFixed(0)} MB`);
  console.log(`ingest ${((acknowledged / cpuMs) * 1_000).toFixed(0)} records/s`);
}
