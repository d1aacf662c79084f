import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Account, noneDropped, recordsOf, sumOf } from '../spool/frame.ts';
import { MAX_BLOCKS } from '../spool/record-block.ts';
import { RECORD_CLASSES, type RecordClass } from '../spool/spooled-record.ts';
import {
  type AccessLog,
  type AccessLogOptions,
  createAccessLog,
  type RecordTrouble,
} from './access-log.ts';
import { createRecordedCall, type RecordedCall } from './access-record.ts';
import { createRecordedConnection } from './format-record.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-records-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

const connection = createRecordedConnection({
  kind: 'http',
  reporter: 'destination',
  sourceId: null,
  sourceService: 'web',
  sourceIp: null,
  destinationId: null,
  destinationService: 'orders',
  destinationNamespace: 'default',
  destinationPort: 80,
  sni: null,
  tlsVersion: null,
  tlsCipher: null,
  tlsGroup: null,
  peerSerial: null,
});

function open(more: Partial<AccessLogOptions> = {}): { folder: string; log: AccessLog } {
  const folder = more.folder ?? join(root, `${++folders}`);
  return { folder, log: createAccessLog({ ...more, folder }) };
}

function callTo(path: string, more: Partial<RecordedCall> = {}): RecordedCall {
  const call = createRecordedCall(connection);
  return { ...call, startedAt: 1_800_000_000_000, path, verdict: 'allow', status: 200, ...more };
}

test('records are on disk in order, numbered, private, and readable in frames', async () => {
  const { folder, log } = open();
  for (let i = 1; i <= 300; i++) {
    log.record(callTo(`/${i}`));
    if (i % 100 === 0) await log.flushed();
  }
  assert.deepEqual(readdirSync(folder), ['records-1.spool']);
  assert.equal(statSync(join(folder, 'records-1.spool')).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const all = Array.from({ length: 300 }, (_, i) => i + 1);
  assert.deepEqual(await seqs(log, 0, 1000), all);
  assert.deepEqual(await seqs(log, 0, 1), all.slice(0, 100), 'no less than a frame');
  assert.deepEqual(await seqs(log, 100, 1), all.slice(100, 200));
  assert.deepEqual(await seqs(log, 300, 100), []);
  assert.deepEqual(await seqs(log, 0, 1), all.slice(0, 100), 'back again');
  const { accounts } = await log.readAfter(0, 1000);
  check(accounts);
  assert.deepEqual(
    accounts.map(({ firstSeq, lastSeq, records }) => [firstSeq, lastSeq, records]),
    [
      [1, 100, 100],
      [101, 200, 100],
      [201, 300, 100],
    ],
  );
  log.close();
});

test('after an outage no message holds more blocks than its receiver takes', async () => {
  const { log } = open();
  for (let i = 1; i <= 150; i++) {
    log.record(callTo(`/${i}`));
    await log.flushed();
  }
  const sizes: number[] = [];
  for (let at = 0; at < 150; ) {
    const { accounts, blocks } = await log.readAfter(at, 500);
    sizes.push(blocks.length);
    at = accounts.at(-1)?.lastSeq ?? 150;
  }
  assert.deepEqual(sizes, [MAX_BLOCKS, MAX_BLOCKS, 150 - 2 * MAX_BLOCKS]);
  log.close();
});

test('ids name the start and the number, and stay what they were over a restart', async () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  log.close();
  const { log: second } = open({ folder });
  second.record(callTo('/b'));
  await second.flushed();
  const { blocks } = await second.readAfter(0, 10);
  const ids = blocks
    .flatMap(recordsOf)
    .map(({ json }) => (JSON.parse(json.toString()) as { id: string }).id);
  assert.deepEqual(ids, [`${log.boot}-1`, `${second.boot}-2`]);
  assert.notEqual(log.boot, second.boot);
  second.close();
  const { log: third } = open({ afterSeq: 41 });
  third.record(callTo('/c'));
  await third.flushed();
  assert.deepEqual(await seqs(third, 41, 10), [42], 'after what was acknowledged elsewhere');
  third.close();
});

test('closing writes what is buffered at once, also behind a write under way', async () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  log.flush();
  log.record(callTo('/b'));
  log.close();
  log.record(callTo('/too-late'));
  const { log: second } = open({ folder });
  assert.deepEqual(await paths(second), ['/a', '/b']);
  second.close();
});

test('a start after a crash says so, one after a close does not', async () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  await log.flushed();
  const killed = join(root, `${++folders}`);
  cpSync(folder, killed, { recursive: true });
  log.close();
  for (const [place, expected] of [
    [folder, [false, false]],
    [killed, [false, true]],
  ] as const) {
    const { log: next } = open({ folder: place });
    next.record(callTo('/b'));
    await next.flushed();
    const { accounts } = await next.readAfter(0, 10);
    const told = accounts.filter(({ records }) => records > 0).map(({ afterCrash }) => afterCrash);
    assert.deepEqual(told, expected);
    next.close();
  }
});

test('the bound drops calls that went through before errors before denials before audits', async () => {
  const dropped = noneDropped();
  const { log, folder } = open({
    maxSegmentBytes: 20_000,
    maxSegments: 3,
    onTrouble: (trouble) => {
      if (trouble.kind !== 'dropped') return;
      for (const name of RECORD_CLASSES) dropped[name] += trouble.counts[name];
    },
  });
  const kinds = [
    { verdict: 'deny', audit: 'a/b' },
    { verdict: 'deny', reason: 'policy_denied' },
    { status: 503 },
  ] as const;
  for (let i = 1; i <= 400; i++) {
    // Random, since what repeats takes no room.
    const path = `/${randomBytes(300).toString('base64url')}`;
    log.record(callTo(path, i % 10 === 0 ? kinds[(i / 10) % 3] : {}));
    if (i % 10 === 0) await log.flushed();
  }
  log.flush();
  const { blocks, accounts } = await log.readAfter(0, 10_000);
  const records = blocks.flatMap(recordsOf);
  check(accounts);
  const count = (name: RecordClass) => records.filter((record) => record.class === name).length;
  assert.deepEqual([count('audit'), count('denial'), count('error')], [13, 14, 13]);
  assert.ok(dropped.success > 100);
  assert.equal(records.length + sumOf(dropped), 400);
  assert.deepEqual(log.counts().dropped, dropped);
  const told = accounts.reduce((sum, account) => sum + account.dropped.success, 0);
  assert.equal(told, dropped.success, 'and the receiver is told');
  assert.equal(accounts.at(0)?.firstSeq, 1);
  const bytes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  assert.ok(bytes.reduce((sum, size) => sum + size, 0) <= 80_000);
  log.close();
});

test('what is older than the bound of age goes, and is accounted for', async () => {
  const { log } = open({ maxSegmentBytes: 1, maxSegments: 1_000_000, maxAgeMs: 60_000 });
  const at = 1_800_000_000_000;
  log.record(callTo('/old', { startedAt: at, verdict: 'deny' }));
  await log.flushed();
  log.record(callTo('/young', { startedAt: at + 60_000 }));
  await log.flushed();
  assert.deepEqual(await paths(log), ['/old', '/young']);
  log.record(callTo('/now', { startedAt: at + 60_001 }));
  await log.flushed();
  assert.deepEqual(await paths(log), ['/young', '/now']);
  assert.equal(log.counts().dropped.denial, 1);
  const { accounts } = await log.readAfter(0, 10);
  check(accounts);
  assert.equal(accounts[0]?.dropped.denial, 1);
  log.close();
});

test('acknowledged segments go, the others and the newest stay', async () => {
  const { log, folder } = open({ maxSegmentBytes: 5_000, maxSegments: 100 });
  for (let i = 1; i <= 100; i++) {
    log.record(callTo(`/${i}`));
    await log.flushed();
  }
  const before = readdirSync(folder).length;
  assert.ok(before > 5);
  log.acknowledge(50);
  assert.deepEqual(await seqs(log, 50, 1), [51]);
  assert.ok(readdirSync(folder).length < before);
  log.acknowledge(100);
  assert.equal(readdirSync(folder).length, 1);
  log.close();
});

test('a disk that takes nothing: calls go on, what is in memory is shipped, and it says so', async () => {
  const folder = join(root, `${++folders}`);
  writeFileSync(folder, 'a file where the folder should be');
  const errors: string[] = [];
  const onTrouble = (trouble: RecordTrouble) => errors.push(trouble.kind);
  const { log } = open({ folder, onTrouble });
  log.record(callTo('/a'));
  await log.flushed();
  assert.match(log.problem() ?? '', /^access records cannot be written to disk: /);
  assert.deepEqual([errors, log.counts().failedWrites], [['write_failed'], 1]);
  assert.deepEqual(await paths(log), ['/a']);
  // More than memory holds meanwhile: the oldest of the least go.
  log.record(callTo('/denied', { verdict: 'deny' }));
  for (let i = 0; i < 2_000; i++) log.record(callTo(`/${i}`));
  assert.ok(log.counts().dropped.success > 1_000);
  assert.equal(log.counts().dropped.denial, 0);
  rmSync(folder);
  log.acknowledge(1);
  await log.flushed();
  assert.equal(log.problem(), undefined, 'it goes on as soon as it can');
  const found = await paths(log, 1);
  assert.equal(found[0], '/denied');
  assert.equal(found.at(-1), '/1999');
  const { accounts } = await log.readAfter(1, 10_000);
  check(accounts);
  assert.equal(accounts[0]?.firstSeq, 2);
  assert.equal(accounts.at(-1)?.lastSeq, 2_002);
  log.close();
});

test('more than memory holds while the disk is slow: every number is told of, denials stay', async () => {
  const { log } = open();
  for (let i = 0; i < 500; i++) log.record(callTo(`/d/${i}`, { verdict: 'deny' }));
  for (let i = 0; i < 5_000; i++) log.record(callTo(`/${i}`));
  await log.flushed();
  const { issued, dropped } = log.counts();
  assert.equal(issued, 5_500);
  assert.ok(dropped.success > 0);
  assert.equal(dropped.denial, 0);
  const accounts: Account[] = [];
  let kept = 0;
  for (let at = 0; ; ) {
    const batch = await log.readAfter(at, 100);
    if (batch.accounts.length === 0) break;
    accounts.push(...batch.accounts);
    kept += batch.records;
    at = batch.accounts.at(-1)?.lastSeq ?? at;
  }
  check(accounts);
  assert.equal(kept + sumOf(dropped), 5_500);
  assert.equal(accounts.at(-1)?.lastSeq, 5_500);
  log.close();
});

async function seqs(log: AccessLog, after: number, limit: number): Promise<number[]> {
  const { blocks } = await log.readAfter(after, limit);
  return blocks
    .flatMap(recordsOf)
    .map(({ seq }) => seq)
    .filter((seq) => seq > after);
}

async function paths(log: AccessLog, after = 0): Promise<string[]> {
  const { blocks } = await log.readAfter(after, 10_000);
  return blocks
    .flatMap(recordsOf)
    .map(({ json }) => (JSON.parse(json.toString()) as { path: string }).path);
}

function check(accounts: readonly Account[]): void {
  for (const each of accounts) {
    const told = each.records + each.sampled + sumOf(each.dropped) + each.damaged;
    assert.equal(told, each.lastSeq - each.firstSeq + 1, JSON.stringify(each));
  }
}
