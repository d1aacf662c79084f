import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type AccessLog, type AccessLogOptions, createAccessLog } from './access-log.ts';
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

test('records are on disk in order, numbered, private, and readable in pieces', async () => {
  const { folder, log } = open();
  for (let i = 1; i <= 300; i++) log.record(callTo(`/${i}`));
  await log.flushed();
  const files = readdirSync(folder);
  assert.deepEqual(files, ['records-1.jsonl']);
  assert.equal(statSync(join(folder, 'records-1.jsonl')).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.deepEqual(await seqs(log, 0, 3), [1, 2, 3]);
  assert.deepEqual(await seqs(log, 3, 2), [4, 5]);
  assert.deepEqual(await seqs(log, 298, 100), [299, 300]);
  assert.deepEqual(await seqs(log, 300, 100), []);
  assert.deepEqual(await seqs(log, 10, 1), [11], 'back again');
  log.close();
});

test('the numbers go on after a restart, and after what was acknowledged when nothing is left', async () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  log.close();
  const { log: second } = open({ folder });
  second.record(callTo('/b'));
  await second.flushed();
  assert.deepEqual(await seqs(second, 0, 10), [1, 2]);
  second.close();
  const { log: third } = open({ afterSeq: 41 });
  third.record(callTo('/c'));
  await third.flushed();
  assert.deepEqual(await seqs(third, 41, 10), [42]);
  third.close();
});

test('closing writes what is buffered at once, also behind a write under way', () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  log.flush();
  log.record(callTo('/b'));
  log.close();
  log.record(callTo('/too-late'));
  const lines = readFileSync(join(folder, 'records-1.jsonl'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).path),
    ['/a', '/b'],
  );
  assert.equal(log.counts().dropped, 1);
});

test('a line torn by a crash is cut off, and its number given again', async () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  log.record(callTo('/b'));
  log.close();
  const file = join(folder, 'records-1.jsonl');
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, whole.length - 5));
  const { log: second } = open({ folder });
  second.record(callTo('/c'));
  await second.flushed();
  const paths = (await second.readAfter(0, 10)).map(({ json }) => JSON.parse(json.toString()).path);
  assert.deepEqual(paths, ['/a', '/c']);
  assert.deepEqual(await seqs(second, 0, 10), [1, 2]);
  second.close();
});

test('garbage in the folder is passed over', async () => {
  const { folder, log } = open();
  log.record(callTo('/a'));
  await log.flushed();
  log.close();
  appendFileSync(join(folder, 'records-1.jsonl'), 'garbage\n{"seq":7}\n\n');
  writeFileSync(join(folder, 'records-x.jsonl'), 'x');
  writeFileSync(join(folder, 'other'), 'x');
  const { log: second } = open({ folder });
  second.record(callTo('/b'));
  await second.flushed();
  const records = await second.readAfter(0, 10);
  assert.deepEqual(
    records.map(({ json }) => JSON.parse(json.toString()).path),
    ['/a', '/b'],
  );
  second.close();
});

test('the bound drops calls that went through before denials, and counts them', async () => {
  let dropped = 0;
  const { log, folder } = open({
    maxSegmentBytes: 20_000,
    maxSegments: 3,
    onDrop: (what) => {
      dropped += what.dropped;
    },
  });
  for (let i = 1; i <= 400; i++) {
    const isDenial = i % 10 === 0;
    log.record(callTo(`/${i}`, isDenial ? { verdict: 'deny', reason: 'policy_denied' } : {}));
    if (i % 10 === 0) await log.flushed();
  }
  const kept = await log.readAfter(0, 1000);
  const denials = kept.filter((record) => record.class !== 'success');
  assert.equal(denials.length, 40, 'every denial is still there');
  assert.equal(kept.length + dropped, 400);
  assert.ok(dropped > 100, `${dropped}`);
  assert.equal(log.counts().dropped, dropped);
  const bytes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  assert.ok(bytes.reduce((sum, size) => sum + size, 0) <= 80_000);
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

test('a folder that cannot be written costs records, never the process', async () => {
  const folder = join(root, `${++folders}`);
  writeFileSync(folder, 'a file where the folder should be');
  const errors: string[] = [];
  const { log } = open({ folder, onDrop: ({ error }) => errors.push(error?.message ?? '') });
  log.record(callTo('/a'));
  await log.flushed();
  assert.equal(log.counts().dropped, 1);
  assert.equal(log.counts().failedWrites, 1);
  assert.equal(errors.length, 1);
  rmSync(folder);
  log.record(callTo('/b'));
  await log.flushed();
  assert.deepEqual(await seqs(log, 0, 10), [2], 'it goes on as soon as it can');
  log.close();
});

test('more than memory holds while the disk is slow: dropped and counted, the rest intact', async () => {
  const { log } = open();
  for (let i = 0; i < 5_000; i++) log.record(callTo(`/${i}`));
  const denial = callTo('/denied', { verdict: 'deny', reason: 'policy_denied' });
  log.record(denial);
  await log.flushed();
  const { recorded, dropped } = log.counts();
  assert.ok(dropped > 0);
  assert.equal(recorded + dropped, 5_001);
  const kept = await log.readAfter(0, 10_000);
  assert.equal(kept.length, recorded);
  assert.equal(kept.at(-1)?.class, 'denial', 'room was left for the denial');
  log.close();
});

async function seqs(log: AccessLog, after: number, limit: number): Promise<number[]> {
  return (await log.readAfter(after, limit)).map(({ seq }) => seq);
}
