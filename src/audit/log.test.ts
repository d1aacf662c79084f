import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { AuditFields } from './event.ts';
import { type AuditLog, openAuditLog } from './log.ts';
import { SEGMENT_RECORDS, segmentName } from './segment.ts';
import type { TreeHead } from './tree.ts';
import { verifyFolder } from './verify-folder.ts';

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), 'palisade-audit-'));
});
after(() => rmSync(root, { recursive: true }));

let made = 0;
const folderOf = (): string => join(root, String(made++));

function open(folder: string, trustedSize = 0): AuditLog {
  return openAuditLog({
    folder,
    clock: () => Date.UTC(2026, 0, 1),
    trustedSize,
    onError(error) {
      throw error;
    },
  });
}

function deed(n: number): AuditFields {
  const name = `commit ${n} of "ops" \u00e9\u{1f511}\n`;
  return { action: 'policy.commit', 'actor.id': 'ann', 'target.name': name, result: 'ok' };
}

async function fill(folder: string, count: number): Promise<TreeHead> {
  const log = open(folder);
  const from = log.newestIndex() + 1;
  await Promise.all(Array.from({ length: count }, (_, i) => log.append(deed(from + i))));
  const { size, root: top } = log.head();
  await log.close();
  return { size, root: top };
}

const firstSegment = (folder: string): string => join(folder, segmentName(0));

test('what is appended is read again, in order, after a restart too', async () => {
  const folder = folderOf();
  const head = await fill(folder, 100);
  const log = open(folder);
  assert.deepEqual(
    (await log.readAfter(-1, 1000)).map((event) => [event.index, event['target.name']]),
    Array.from({ length: 100 }, (_, i) => [i, deed(i)['target.name']]),
  );
  assert.deepEqual(
    (await log.readAfter(96, 2)).map(({ index }) => index),
    [97, 98],
  );
  assert.equal(log.head().root, head.root);
  const events = await log.readAfter(-1, 1000);
  for (const [i, event] of events.entries()) {
    assert.equal(event.previous_hash, events[i - 1]?.hash ?? '0'.repeat(64));
  }
  await log.close();
  assert.equal((await verifyFolder(folder, [head])).problem, undefined);
});

test('a log grows over segments, and every proof holds across them', async () => {
  const folder = folderOf();
  const first = await fill(folder, SEGMENT_RECORDS - 1);
  const second = await fill(folder, 2);
  const third = await fill(folder, SEGMENT_RECORDS);
  assert.equal(third.size, 2 * SEGMENT_RECORDS + 1);
  assert.equal((await verifyFolder(folder, [first, second, third])).problem, undefined);
  const log = open(folder);
  assert.equal(log.head().root, third.root);
  for (const size of [1, first.size, SEGMENT_RECORDS, second.size, third.size]) {
    assert.equal(log.leaves.root(size), log.leaves.frontier(size).root());
  }
  assert.equal(log.leaves.root(first.size), first.root);
  assert.equal(log.leaves.root(second.size), second.root);
  const { isConsistent, rootFromInclusion } = await import('./tree.ts');
  assert.ok(isConsistent(first, third, log.leaves.consistency(first.size, third.size)));
  assert.ok(isConsistent(second, third, log.leaves.consistency(second.size, third.size)));
  for (const index of [0, 5, SEGMENT_RECORDS - 1, SEGMENT_RECORDS, third.size - 1]) {
    const path = log.leaves.inclusion(index, third.size);
    const at = { index, size: third.size };
    assert.equal(rootFromInclusion(log.leaves.leaf(index), at, path), third.root);
  }
  assert.equal((await log.readAfter(SEGMENT_RECORDS - 3, 4)).at(-1)?.index, SEGMENT_RECORDS + 1);
  await log.close();
});

test('every torn end is set aside, and what was whole stays', async () => {
  const folder = folderOf();
  await fill(folder, 3);
  const whole = readFileSync(firstSegment(folder));
  const ends = [...whole.entries()].flatMap(([at, byte]) => (byte === 10 ? [at + 1] : []));
  for (let length = (ends[0] ?? 0) + 1; length < whole.length; length += 7) {
    const torn = folderOf();
    cpSync(folder, torn, { recursive: true });
    truncateSync(firstSegment(torn), length);
    const kept = ends.filter((end) => end <= length).length - 1;
    const log = open(torn);
    assert.equal(log.newestIndex(), kept - 1, `cut at ${length}`);
    assert.equal(log.setAside.length, ends.includes(length) ? 0 : 1);
    const event = await log.append(deed(9));
    assert.equal(event.index, kept);
    await log.close();
    assert.equal((await verifyFolder(torn, [])).problem, undefined);
  }
});

test('garbage after the last record is set aside and kept for whoever looks', async () => {
  const folder = folderOf();
  await fill(folder, 3);
  const garbage = `{"index":3,"hash":"${'a'.repeat(64)}"}\n{"index":4}\n\0\0\0`;
  appendFileSync(firstSegment(folder), garbage);
  const log = open(folder);
  assert.equal(log.newestIndex(), 2);
  assert.equal(log.setAside[0]?.index, 3);
  await log.close();
  const [name = ''] = readdirSync(join(folder, 'damaged'));
  assert.equal(readFileSync(join(folder, 'damaged', name), 'utf8'), garbage);
  assert.equal((await verifyFolder(folder, [])).problem, undefined);
});

test('a flipped bit anywhere is found, named, and spoils nothing else', async () => {
  const folder = folderOf();
  const head = await fill(folder, 5);
  const whole = readFileSync(firstSegment(folder));
  const ends = [...whole.entries()].flatMap(([at, byte]) => (byte === 10 ? [at + 1] : []));
  for (let at = 0; at < whole.length; at += 11) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(firstSegment(folder), bytes);
    const { problem } = await verifyFolder(folder, [head]);
    const line = ends.findIndex((end) => at < end);
    assert.ok(problem !== undefined, `the bit at ${at}`);
    // Of a header nothing can be told but that the first record does not follow it.
    const index = Math.max(line - 1, 0);
    assert.ok(
      Math.abs(problem.index - index) <= (bytes[at] === 11 ? 1 : 0),
      `${at}: ${problem.index}, not ${index}: ${problem.message}`,
    );
  }
});

test('damage that good records follow, or that a checkpoint covers, stays in its place', async () => {
  for (const [trusted, line, size] of [
    [0, 1, 5],
    [5, 4, 5],
    [0, 4, 4],
  ] as const) {
    const folder = folderOf();
    const head = await fill(folder, 5);
    const text = readFileSync(firstSegment(folder), 'utf8').replace(
      `commit ${line} of`,
      'commit X of',
    );
    writeFileSync(firstSegment(folder), text);
    const log = open(folder, trusted);
    assert.equal(log.head().size, size);
    if (size === 5)
      assert.equal(log.head().root, head.root, 'later records go on from the same hash');
    await log.append(deed(9));
    await log.close();
    const { problem } = await verifyFolder(folder, size === 5 ? [head] : []);
    assert.equal(problem?.index, size === 5 ? line : undefined);
  }
});

test('edits, deletions, insertions, moves, truncation, forks and roll-backs are found by index', async () => {
  const folder = folderOf();
  const early = await fill(folder, 6);
  const rolledBack = folderOf();
  cpSync(folder, rolledBack, { recursive: true });
  const head = await fill(folder, 6);
  const lines = readFileSync(firstSegment(folder), 'utf8').split('\n');
  const check = async (name: string, changed: readonly string[], index: number): Promise<void> => {
    const copy = folderOf();
    cpSync(folder, copy, { recursive: true });
    writeFileSync(firstSegment(copy), changed.join('\n'));
    const { problem } = await verifyFolder(copy, [early, head]);
    assert.equal(problem?.index, index, `${name}: ${problem?.message}`);
  };
  await check('edited', lines.with(3, (lines[3] ?? '').replace('ann', 'eve')), 2);
  await check('deleted', lines.toSpliced(3, 1), 2);
  await check('inserted twice', lines.toSpliced(3, 0, lines[3] ?? ''), 3);
  await check('swapped', lines.with(3, lines[4] ?? '').with(4, lines[3] ?? ''), 2);
  await check('truncated', [...lines.slice(0, 9), ''], 8);
  await check('emptied', [lines[0] ?? '', ''], 0);
  assert.equal((await verifyFolder(rolledBack, [early, head])).problem?.index, 6);
  // A fork is a good chain by itself; only who kept a checkpoint can tell.
  await fill(rolledBack, 6);
  const forked = open(rolledBack);
  await forked.append(deed(99));
  await forked.close();
  const rewritten = folderOf();
  const other = open(rewritten);
  for (let i = 0; i < 12; i++) await other.append(deed(i + 1));
  await other.close();
  assert.equal((await verifyFolder(rewritten, [])).problem, undefined);
  assert.match(
    (await verifyFolder(rewritten, [early, head])).problem?.message ?? '',
    /records 0 to 5 are not/,
  );
  const late = folderOf();
  cpSync(folder, late, { recursive: true });
  writeFileSync(firstSegment(late), [...lines.slice(0, 9), ''].join('\n'));
  const lateLog = open(late);
  for (let i = 0; i < 4; i++) await lateLog.append(deed(50 + i));
  await lateLog.close();
  assert.match(
    (await verifyFolder(late, [early, head])).problem?.message ?? '',
    /records 6 to 11 are not/,
  );
});

test('a missing segment, and a missing digest', async () => {
  const folder = folderOf();
  const head = await fill(folder, 2 * SEGMENT_RECORDS + 3);
  rmSync(join(folder, 'digests.jsonl'));
  const log = open(folder);
  assert.equal(log.head().root, head.root, 'digests are made again from the segments');
  await log.close();
  rmSync(join(folder, segmentName(SEGMENT_RECORDS)));
  assert.deepEqual((await verifyFolder(folder, [head])).problem, {
    index: SEGMENT_RECORDS,
    message: 'its segment is missing',
  });
});

test('text of others is bounded, and cannot end a line', async () => {
  const log = open(folderOf());
  const event = await log.append({
    action: 'policy.commit',
    'actor.id': 'x'.repeat(5_000),
    reason: '"}\n{"index":9}',
    diff: 'y'.repeat(200_000),
    result: 'ok',
  });
  assert.ok(event['actor.id'].length < 1_100 && (event.diff?.length ?? 0) < 33_000);
  const [read] = await log.readAfter(-1, 10);
  assert.deepEqual(read, event);
  assert.equal(log.newestIndex(), 0);
  await log.close();
});

test('nothing is told, and so nothing signed, of records that are not on disk yet', async () => {
  const folder = folderOf();
  const log = open(folder);
  // So much that writing it takes many turns of the event loop.
  const diff = 'd'.repeat(30_000);
  let done = false;
  const all = Promise.all(
    Array.from({ length: 500 }, (_, i) => log.append({ ...deed(i), diff })),
  ).then(() => {
    done = true;
  });
  while (!done) {
    const { size } = log.head();
    assert.ok(size === 0 || statSync(firstSegment(folder)).size > 500 * 30_000, `told of ${size}`);
    assert.equal(log.newestIndex(), size - 1);
    await new Promise(setImmediate);
  }
  await all;
  assert.equal(log.head().size, 500);
  await log.close();
});

test('a reason that holds a secret is logged without it', async () => {
  const folder = folderOf();
  const log = open(folder);
  const reason = 'rolled back, password="hunter 2" and Bearer abcdefgh12345; tell ann@example.org';
  const event = await log.append({ ...deed(0), reason });
  const expected =
    'rolled back, password="[redacted:secret]" and Bearer [redacted:token]; tell [redacted:email]';
  assert.equal(event.reason, expected);
  await log.close();
  const text = readFileSync(join(folder, segmentName(0)), 'utf8');
  assert.doesNotMatch(text, /hunter|abcdefgh|example\.org/);
  assert.equal((await verifyFolder(folder, [])).problem, undefined);
});
