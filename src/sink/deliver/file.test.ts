import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fakeAudit, fakeRecord } from '../fake-evidence.ts';
import { createFakeSurroundings } from '../fake-surroundings.ts';
import { jsonLine } from '../formats/json.ts';
import { createFileReceiver } from './file.ts';

function fixture(t: TestContext, bounds: { maxBytes?: number; maxFiles?: number } = {}) {
  const { folder, remove } = createFakeSurroundings();
  t.after(remove);
  const files = join(folder, 'files');
  const open = () => {
    const receiver = createFileReceiver(
      { name: 'out.jsonl', maxBytes: 1 << 20, maxFiles: 3, ...bounds },
      { filesFolder: files, fileOwner: () => undefined },
      jsonLine,
    );
    t.after(() => receiver.close());
    return receiver;
  };
  const ids = (name = 'out.jsonl') =>
    readFileSync(join(files, name), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line).id);
  return { open, ids, files };
}

const signal = new AbortController().signal;
const batch = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => fakeRecord(from + i));
const named = (from: number, to: number) => batch(from, to).map(({ id }) => id);

test('lines are appended, for nobody else to read', async (t) => {
  const { open, ids, files } = fixture(t);
  const file = open();
  assert.deepEqual(await file.deliver(batch(0, 3), signal), { kind: 'delivered' });
  await file.deliver(batch(3, 5), signal);
  assert.deepEqual(ids(), named(0, 5));
  assert.equal(statSync(join(files, 'out.jsonl')).mode & 0o777, 0o600);
});

test('at its size a file is turned over, and only so many are kept', async (t) => {
  const { open, ids, files } = fixture(t, { maxBytes: 4_096, maxFiles: 3 });
  const file = open();
  for (let i = 0; i < 40; i += 5) await file.deliver(batch(i, i + 5), signal);
  assert.deepEqual(readdirSync(files).toSorted(), ['out.jsonl', 'out.jsonl.1', 'out.jsonl.2']);
  assert.deepEqual([...ids('out.jsonl.2'), ...ids('out.jsonl.1'), ...ids()], named(25, 40));
});

test('two lanes at once do not mix their lines', async (t) => {
  const { open, ids } = fixture(t);
  const file = open();
  const audit = { ...fakeAudit(), id: 'audit:1' };
  await Promise.all([
    file.deliver(batch(0, 200), signal),
    file.deliver([audit], signal),
    file.deliver(batch(200, 300), signal),
  ]);
  assert.deepEqual(ids(), [...named(0, 200), 'audit:1', ...named(200, 300)]);
});

test('after a kill in the middle: the torn line is cut off, and what is there already is not written again', async (t) => {
  const { open, ids, files } = fixture(t);
  await open().deliver(batch(0, 10), signal);
  appendFileSync(join(files, 'out.jsonl'), '{"evidence":"records","id":"r-10","verdi');
  const file = open();
  await file.deliver(batch(5, 15), signal);
  await file.deliver(batch(15, 17), signal);
  assert.deepEqual(ids(), named(0, 17));
});

test('a folder that cannot be written is tried again until it can', async (t) => {
  const { open, ids, files } = fixture(t);
  writeFileSync(files, 'in the way');
  const file = open();
  const failed = await file.deliver(batch(0, 2), signal);
  assert.ok(failed.kind === 'retry');
  assert.match(failed.reason, /^the file `out\.jsonl` cannot be written \(E\w+\)$/);
  rmSync(files);
  mkdirSync(files);
  assert.deepEqual(await file.deliver(batch(0, 2), signal), { kind: 'delivered' });
  assert.deepEqual(ids(), named(0, 2));
});
