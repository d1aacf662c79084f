import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { type ExportTrust, ExportVerifier, type VerifiedExport } from './export.ts';
import { exportPage } from './export-page.ts';
import { createFakeLog, type FakeLog } from './fake-log.ts';
import { expireSegments, type LegalHold, readHolds, writeHolds } from './retention.ts';
import type { AuditQuery } from './search.ts';
import { type AuditProblem, SEGMENT_RECORDS, segmentName } from './segment.ts';
import { verifyFolder } from './verify-folder.ts';

let log: FakeLog;
// Where only what failed runs again, the others make none.
afterEach(() => (log as FakeLog | undefined)?.close());

type Signed = ReturnType<FakeLog['sign']>;

/** All pages from `from` on, as `palisade audit export` fetches them. */
async function exported(
  checkpoint: Signed | undefined,
  {
    from = 0,
    query = {},
    limit = 5_000,
  }: { from?: number; query?: AuditQuery; limit?: number } = {},
): Promise<string[]> {
  const lines: string[] = [];
  for (let next: number | null = from; next !== null; ) {
    const page: Awaited<ReturnType<typeof exportPage>> = await exportPage(log.audit(), {
      from: next,
      after: next,
      limit,
      query,
      checkpoint,
      log: 'control',
      version: '1',
      timeMs: 0,
    });
    assert.ok(page.ok, page.ok ? '' : page.error);
    lines.push(...page.value.trimEnd().split('\n'));
    next = JSON.parse(lines.at(-1) ?? '').unmapped.palisade.proof.next;
  }
  return lines;
}

function verified(
  lines: readonly string[],
  trust: Partial<ExportTrust> = {},
): VerifiedExport | AuditProblem {
  const verifier = new ExportVerifier({ ...log.trust, ...trust });
  for (const line of lines) {
    const taken = verifier.take(line);
    if (!taken.ok) return taken.error;
  }
  const done = verifier.finish();
  return done.ok ? done.value : done.error;
}

function assertProblem(found: VerifiedExport | AuditProblem, index: number, message: RegExp): void {
  assert.ok('message' in found, `verified: ${JSON.stringify(found)}`);
  assert.match(found.message, message);
  assert.equal(found.index, index, found.message);
}

test('an export proves itself, whole, in pages, and since any earlier checkpoint', async () => {
  log = createFakeLog();
  await log.fill(10);
  const early = log.sign();
  await log.fill(15);
  const signed = log.sign();
  const all = await exported(signed);
  const whole = verified(all);
  assert.ok(!('message' in whole));
  assert.deepEqual([whole.records, whole.size, whole.root], [25, 25, signed.root]);
  assert.equal(whole.checkpoint?.size, 25);
  assert.equal((verified(await exported(signed, { limit: 7 })) as VerifiedExport).records, 25);
  assert.equal((verified(all, { since: early }) as VerifiedExport).size, 25);
  const rest = verified(await exported(signed, { from: 10 }), { since: early });
  assert.equal((rest as VerifiedExport).records, 15);
  const event = JSON.parse(all[3] ?? '');
  assert.equal(event.class_uid, 6003);
  assert.equal(event.type_uid, event.class_uid * 100 + event.activity_id);
  assert.equal(event.metadata.sequence, 3);
});

test('every line edited, dropped, doubled or moved is found by its index', async () => {
  log = createFakeLog();
  await log.fill(12);
  const lines = await exported(log.sign(), { limit: 5 });
  const proofs = new Set(lines.flatMap((line, i) => (line.includes('"proof"') ? [i] : [])));
  let index = 0;
  for (const [at, line] of lines.entries()) {
    if (proofs.has(at)) continue;
    assertProblem(
      verified(lines.with(at, line.replaceAll('ann', 'eve'))),
      index,
      /not what was logged/,
    );
    const dropped = verified(lines.toSpliced(at, 1));
    assert.ok('message' in dropped && dropped.index === index, JSON.stringify(dropped));
    const doubled = verified(lines.toSpliced(at, 0, line));
    assert.ok('message' in doubled && doubled.index === index + 1, JSON.stringify(doubled));
    assertProblem(verified(lines.with(at, 'not JSON')), index, /damaged/);
    index += 1;
  }
  for (const end of lines.keys()) {
    assert.ok('message' in verified(lines.slice(0, end)), `cut after ${end} lines`);
  }
});

test('a record that is as it was logged, in an event that says something else, is found', async () => {
  log = createFakeLog();
  await log.fill(4);
  const [first = '', ...rest] = await exported(log.sign());
  const event = JSON.parse(first);
  const { metadata } = event;
  const product = (change: object): object => ({
    ...event,
    metadata: { ...metadata, product: { ...metadata.product, ...change } },
  });
  const forged = [
    { ...event, actor: { user: { name: 'eve' } } },
    { ...event, status_id: 2 },
    { ...event, time: event.time + 1 },
    { ...event, message: `${event.message} of eve` },
    { ...event, comment: 'counsel approved it' },
    { ...event, metadata: { ...metadata, sequence: 9 } },
    { ...event, unmapped: { palisade: { ...event.unmapped.palisade, diff: '+ eve' } } },
    { ...event, unmapped: { ...event.unmapped, by: 'eve' } },
    // What kind of thing it was, which is what people search a SIEM by.
    { ...event, activity_id: 2 },
    { ...event, type_uid: 600_302 },
    { ...event, activity_id: 2, type_uid: 600_302 },
    { ...event, category_uid: 3 },
    { ...event, class_uid: 3002 },
    { ...event, class_uid: 3002, category_uid: 3, type_uid: 300_201 },
    { ...event, severity_id: 0 },
    { ...event, class_name: 'Authentication' },
    // Who says it.
    { ...event, metadata: { ...metadata, version: '1.4.0' } },
    product({ name: 'Other' }),
    product({ vendor_name: 'Other' }),
    product({ version: '9.9.9' }),
    product({ inclusion: [], raw_data: 'eve' }),
    { ...event, actor: { ...event.actor, version: 'eve', product: 'eve' } },
    // Neither a line of a page nor of a filtered export has another's proof.
    { ...event, unmapped: { palisade: { ...event.unmapped.palisade, inclusion: [] } } },
  ];
  for (const [i, one] of forged.entries()) {
    const found = verified([JSON.stringify(one), ...rest]);
    const isFound = 'message' in found && /says something else/.test(found.message);
    assert.ok(isFound, `forged ${i}: ${JSON.stringify(found)}`);
    assert.equal(found.index, 0);
  }
  // Some readers take the first of two members of a name.
  const doubled = first.replace('{', '{"message":"nothing happened",');
  assertProblem(verified([doubled, ...rest]), 0, /damaged/);
  const { raw_data, ...others } = event;
  for (const same of [first, `${first}\r`, JSON.stringify({ raw_data, ...others })]) {
    assert.ok(!('message' in verified([same, ...rest])), 'the order of members is no lie');
  }
});

test('the line of the proof tells of nothing but the proof', async () => {
  log = createFakeLog();
  await log.fill(3);
  const lines = await exported(log.sign());
  const at = lines.length - 1;
  const event = JSON.parse(lines[at] ?? '');
  const { metadata } = event;
  const forged = [
    { ...event, message: 'eve deleted policy' },
    { ...event, activity_id: 4, type_uid: 600_304 },
    { ...event, class_uid: 3002 },
    { ...event, actor: { user: { name: 'eve' } } },
    { ...event, raw_data: '{}' },
    { ...event, time: 'yesterday' },
    { ...event, metadata: { ...metadata, version: '1.4.0' } },
    { ...event, metadata: { ...metadata, product: { ...metadata.product, name: 'Other' } } },
    { ...event, metadata: { ...metadata, product: { ...metadata.product, version: 'by eve' } } },
    { ...event, unmapped: { palisade: { ...event.unmapped.palisade, diff: '+ eve' } } },
  ];
  for (const one of forged) {
    assertProblem(verified(lines.with(at, JSON.stringify(one))), 3, /damaged/);
  }
});

test('forged checkpoints, other logs and forks are found', async () => {
  log = createFakeLog();
  await log.fill(6);
  const early = log.sign();
  await log.fill(6);
  const signed = log.sign();
  const lines = await exported(signed);
  const key = createFakeLog();
  const stranger = key.trust;
  await key.fill(12);
  const foreign = key.sign();
  await key.close();
  assertProblem(verified(lines, stranger), 0, /not signed/);
  assertProblem(
    verified(await exported({ ...signed, envelope: foreign.envelope })),
    0,
    /not signed/,
  );
  const other = { size: early.size, root: foreign.root };
  assertProblem(verified(lines, { since: other }), 5, /rewritten or forked/);
  assertProblem(
    verified(lines, { since: { size: 99, root: foreign.root } }),
    12,
    /rolled back or cut off, or this was exported before them$/,
  );
  assertProblem(
    verified(await exported(signed, { from: 8 }), { since: early }),
    6,
    /left out without a proof/,
  );
});

test('a filtered export proves each record by itself', async () => {
  log = createFakeLog();
  await log.fill(30);
  const signed = log.sign();
  await log.fill(5);
  const lines = await exported(signed, { query: { text: 'commit 2' } });
  const found = verified(lines) as VerifiedExport;
  assert.equal(found.records, 11, 'commit 2 and 20 to 29; what is not signed yet is left out');
  assertProblem(
    verified(lines.with(1, (lines[1] ?? '').replaceAll('ann', 'eve'))),
    20,
    /not what was logged/,
  );
  const moved = (lines[1] ?? '').replace('{\\"index\\":20', '{\\"index\\":21');
  assert.ok('message' in verified(lines.with(1, moved)));
});

const DAY = 86_400_000;
const hold = (since: number, until?: number): LegalHold => ({
  name: 'case-7',
  reason: 'counsel asked',
  by: 'ann',
  since,
  until,
  createdAt: 0,
});

test('expired segments go, held, young and unsigned ones stay, and all still verifies', async () => {
  log = createFakeLog();
  const begun = log.time.now;
  const marks: Signed[] = [];
  for (let segment = 0; segment < 4; segment++) {
    log.time.now = begun + segment * DAY;
    await log.fill(SEGMENT_RECORDS - 5);
    marks.push(log.sign());
    await log.fill(5);
  }
  const signed = log.sign();
  await log.fill(3);
  const { folder } = log;
  const activeFirst = log.audit().activeFirst();
  const expiry = { before: begun + 4 * DAY, signedSize: signed.size, holds: [], activeFirst };
  const has = (segment: number): boolean =>
    existsSync(join(folder, segmentName(segment * SEGMENT_RECORDS)));
  assert.deepEqual(expireSegments(folder, { ...expiry, before: begun }).segments, []);
  assert.deepEqual(expireSegments(folder, { ...expiry, signedSize: 5 }).segments, []);
  const holds = [hold(begun + DAY, begun + DAY + 1)];
  writeHolds(folder, holds);
  assert.deepEqual(readHolds(folder), holds);
  const gone = expireSegments(folder, { ...expiry, before: begun + 3 * DAY, holds });
  assert.deepEqual(gone, { segments: [0, 2 * SEGMENT_RECORDS], problems: [] });
  assert.deepEqual([0, 1, 2, 3, 4].map(has), [false, true, false, true, true]);
  assert.equal((await verifyFolder(folder, [...marks, signed])).problem, undefined);
  const head = log.audit().head();
  await log.reopen();
  assert.equal(log.audit().head().root, head.root);
  // Whoever keeps any old checkpoint, also one within what expired, can go on from it.
  const lines = await exported(signed);
  const whole = verified(lines) as VerifiedExport;
  assert.deepEqual([whole.records, whole.expired], [2 * SEGMENT_RECORDS + 3, 2 * SEGMENT_RECORDS]);
  for (const mark of [marks[0], marks[3]]) {
    assert.ok(mark);
    const since = verified(await exported(signed, { from: mark.size }), { since: mark });
    assert.ok(!('message' in since) && since.size === head.size, JSON.stringify(since));
  }
  // What is left of an expired segment cannot be changed either.
  const kept = join(folder, 'segment-000000000000.leaves');
  const leaves = readFileSync(kept);
  writeFileSync(kept, leaves.fill(7, 64, 65));
  assert.equal((await verifyFolder(folder, [signed])).problem?.index, 0);
});

test('a damaged segment does not expire', async () => {
  log = createFakeLog();
  await log.fill(SEGMENT_RECORDS + 1);
  const path = join(log.folder, segmentName(0));
  writeFileSync(path, readFileSync(path, 'utf8').replace('commit 77"', 'commit 78"'));
  const expired = expireSegments(log.folder, {
    before: Infinity,
    signedSize: SEGMENT_RECORDS,
    holds: [],
    activeFirst: log.audit().activeFirst(),
  });
  assert.deepEqual(expired.segments, []);
  assert.equal(expired.problems[0]?.index, 77);
});
