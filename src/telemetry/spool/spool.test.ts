// What becomes of files that were torn, flipped or tampered with: found, left out, told of, and the rest readable.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createAccessLog } from '../records/access-log.ts';
import { createRecordedCall } from '../records/access-record.ts';
import { FRAME_MARK, HEADER_BYTES, recordsOf, sumOf } from './frame.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-spool-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

const FRAMES = 5;
const A_FRAME = 4;
const CALLS = FRAMES * A_FRAME;

/** A closed spool of some frames in one segment, to be broken. */
const whole = join(root, 'whole');
const made = createAccessLog({ folder: whole });
for (let i = 1; i <= CALLS; i++) {
  made.record({ ...createRecordedCall({ json: '' }), startedAt: 1_800_000_000_000, path: `/${i}` });
  if (i % A_FRAME === 0) await made.flushed();
}
made.close();
const SEGMENT = 'records-1.spool';
const original = readFileSync(join(whole, SEGMENT));

/** Breaks a copy, opens it, records one more call, and reads everything there is. */
async function readBroken(breakIt: (file: string, folder: string) => void) {
  const folder = join(root, `${++folders}`);
  cpSync(whole, folder, { recursive: true });
  breakIt(join(folder, SEGMENT), folder);
  const found: string[] = [];
  const log = createAccessLog({
    folder,
    onTrouble: (trouble) => trouble.kind === 'damaged' && found.push(trouble.file),
  });
  log.record({ ...createRecordedCall({ json: '' }), startedAt: 1_800_000_000_000, path: '/last' });
  await log.flushed();
  const { blocks, accounts } = await log.readAfter(0, 10_000);
  const paths = blocks
    .flatMap(recordsOf)
    .map(({ json }) => (JSON.parse(json.toString()) as { path: string }).path);
  const { lastSeq } = log.counts();
  log.acknowledge(lastSeq);
  log.close();
  return { paths, accounts, found, lastSeq, folder };
}

/** INVARIANT: every number is told of once and only once, and what is told adds up. */
function checkBooks({ accounts, lastSeq, paths }: Awaited<ReturnType<typeof readBroken>>): void {
  let next = 1;
  let records = 0;
  for (const each of accounts) {
    assert.equal(each.firstSeq, next);
    assert.equal(
      each.records + each.sampled + sumOf(each.dropped) + each.damaged,
      each.lastSeq - each.firstSeq + 1,
    );
    next = each.lastSeq + 1;
    records += each.records;
  }
  assert.equal(next, lastSeq + 1);
  assert.equal(records, paths.length);
}

function frameAt(index: number): number {
  let at = 0;
  for (let i = 0; i < index; i++) at = original.indexOf(FRAME_MARK, at + 1);
  return at;
}

function flip(offset: number): (file: string) => void {
  return (file) => {
    const bytes = Buffer.from(original);
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
    writeFileSync(file, bytes);
  };
}

test('an unharmed spool is read whole', async () => {
  const read = await readBroken(() => undefined);
  checkBooks(read);
  assert.equal(read.paths.length, CALLS + 1);
  assert.deepEqual(read.found, []);
});

test('a bit flipped in a record costs its frame alone, and the account says how many', async () => {
  const read = await readBroken(flip(frameAt(2) + HEADER_BYTES + 20));
  checkBooks(read);
  assert.equal(read.paths.length, CALLS + 1 - A_FRAME);
  assert.deepEqual(read.paths.slice(6, 10), ['/7', '/8', '/13', '/14']);
  assert.equal(read.accounts[2]?.damaged, A_FRAME);
  assert.equal(read.found.length, 1);
});

test('a bit flipped in a header: its numbers show as a gap before the next frame', async () => {
  const read = await readBroken(flip(frameAt(1) + 60));
  checkBooks(read);
  assert.equal(read.paths.length, CALLS + 1 - A_FRAME);
  assert.equal(read.accounts[1]?.damaged, A_FRAME);
});

test('a tail torn by a crash is cut off and told of, and the next frame lies behind it', async () => {
  const last = frameAt(FRAMES - 1);
  const read = await readBroken((file) => truncateSync(file, last + HEADER_BYTES + 30));
  checkBooks(read);
  assert.equal(read.paths.length, CALLS + 1 - A_FRAME);
  assert.equal(read.paths.at(-1), '/last');
  assert.equal(read.accounts.find(({ damaged }) => damaged > 0)?.damaged, A_FRAME);
  assert.equal(read.accounts.at(-1)?.afterCrash, true);
});

test('garbage of any kind in the folder is passed over', async () => {
  const read = await readBroken((file, folder) => {
    appendFileSync(file, 'garbage\n#palisade1 00000000 {"first":1}\n\n');
    writeFileSync(join(folder, 'records-x.spool'), 'x');
    writeFileSync(join(folder, 'records-9.jsonl'), 'of an older version');
    writeFileSync(join(folder, 'records-9.spool.tmp'), 'half of a compaction');
    writeFileSync(join(folder, 'other'), 'x');
  });
  checkBooks(read);
  assert.equal(read.paths.length, CALLS + 1);
  assert.deepEqual(readdirSync(read.folder).sort(), ['other', SEGMENT, 'records-x.spool']);
});

test('attack: a record that looks like a frame does not become one', async () => {
  const folder = join(root, `${++folders}`);
  const log = createAccessLog({ folder });
  const path = `\n${original.toString('latin1', 0, HEADER_BYTES)}`;
  log.record({ ...createRecordedCall({ json: '' }), path });
  log.record({ ...createRecordedCall({ json: '' }), path: '/b' });
  await log.flushed();
  const { records, accounts } = await log.readAfter(0, 10);
  assert.equal(records, 2);
  assert.equal(accounts.length, 1);
  log.close();
});

test('what was damaged is kept for a look when its segment goes', async () => {
  const folder = join(root, `${++folders}`);
  cpSync(whole, folder, { recursive: true });
  flip(frameAt(1) + HEADER_BYTES + 5)(join(folder, SEGMENT));
  const log = createAccessLog({ folder, maxSegmentBytes: 1 });
  log.record(createRecordedCall({ json: '' }));
  await log.flushed();
  await log.readAfter(0, 1_000);
  log.acknowledge(CALLS + 1);
  assert.deepEqual(readdirSync(folder).sort(), ['damaged.spool', `records-${CALLS + 1}.spool`]);
  log.close();
});

test('wherever bytes are flipped or cut, nothing throws and the books are whole', async () => {
  const offset = fc.nat(original.length - 1);
  await fc.assert(
    fc.asyncProperty(offset, fc.boolean(), async (at, isCut) => {
      const read = await readBroken((file) => (isCut ? truncateSync(file, at) : flip(at)(file)));
      checkBooks(read);
      assert.equal(read.paths.at(-1), '/last');
    }),
    { numRuns: 60 },
  );
});
