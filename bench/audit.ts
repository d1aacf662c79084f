// What the audit log costs: appending with group commit on a real disk, and verifying the whole log.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAuditLog, verifyFolder } from '#audit';
import { quantile } from './quantile.ts';

const RECORDS = 500_000;
// Enough at once that each sync carries as many as wait for it.
const WRITERS = 200;

/** Prints both and, last, `audit <records appended a second> records/s`. */
export default async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-audit-'));
  try {
    const append = await measureAppend(folder);
    const alone = await measureVerify(folder, 0);
    const threads = availableParallelism();
    const all = await measureVerify(folder, threads);
    const row = (name: string, value: string): string =>
      `  ${name.padEnd(44)}${value.padStart(12)}`;
    console.log(
      [
        `audit: ${RECORDS} records, ${WRITERS} waiting at a time`,
        row('appended and on disk, records/s', append.perSecond.toFixed(0)),
        row('CPU a record, µs', append.cpuUs.toFixed(1)),
        row('acknowledged, p50 ms', quantile(append.latencies, 0.5).toFixed(2)),
        row('acknowledged, p99 ms', quantile(append.latencies, 0.99).toFixed(2)),
        row('verified on one thread, records/s', alone.perSecond.toFixed(0)),
        row('CPU a record, µs', alone.cpuUs.toFixed(1)),
        row(`verified on ${threads} threads, records/s`, all.perSecond.toFixed(0)),
      ].join('\n'),
    );
    console.log(`audit ${append.perSecond.toFixed(0)} records/s`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measureAppend(folder: string) {
  const log = openAuditLog({ folder, clock: Date.now, onError: console.error });
  const latencies: number[] = [];
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < RECORDS) {
      const name = `commit ${next++}`;
      const begun = performance.now();
      await log.append({
        action: 'policy.commit',
        'actor.id': 'ann',
        'actor.ip': '127.0.0.1',
        'target.kind': 'PolicySet',
        'target.name': name,
        'target.namespace': 'default',
        result: 'ok',
        diff: '+ a line that was added\n- and one that went',
      });
      latencies.push(performance.now() - begun);
    }
  };
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await Promise.all(Array.from({ length: WRITERS }, write));
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await log.close();
  return { perSecond: RECORDS / seconds, cpuUs: (user + system) / RECORDS, latencies };
}

async function measureVerify(folder: string, threads: number) {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const { problem, size } = await verifyFolder(folder, [], threads);
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  if (problem !== undefined || size !== RECORDS)
    throw new Error(`not verified: ${problem?.message}`);
  return { perSecond: RECORDS / seconds, cpuUs: (user + system) / RECORDS };
}
