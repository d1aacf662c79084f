import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAlertBook, KEEP_MS, REPEAT_MS } from './alert-book.ts';
import { ALERTS } from './catalog.ts';
import { type Condition, conditionId, shellWord } from './condition.ts';
import { NOON } from './fake-facts.ts';
import { INHIBITIONS } from './inhibit.ts';
import { checkSilence, type Silence } from './silence.ts';

const DAY = 24 * 3_600_000;

function condition(name: Condition['name'], labels: Record<string, string> = {}): Condition {
  const { severity } = ALERTS[name];
  return { name, labels, severity, summary: name, evidence: [], command: 'palisade status' };
}

function silence(match: Silence['match'], endsAt = NOON + DAY): Silence {
  return { id: 's1', match, owner: 'ann', reason: 'known', createdAt: NOON, endsAt };
}

const refused = condition('policy-refused', { node: 'a', namespace: 'default' });
const lost = condition('enforcement-point-lost', { node: 'a', namespace: 'default' });
const at = (ms: number, silences: readonly Silence[] = []) => ({ nowMs: NOON + ms, silences });

test('an alert is told once when it begins, again after four hours, and once when it ends', () => {
  const book = createAlertBook([], NOON);
  const states = (ms: number, now: readonly Condition[]) =>
    book.update(now, at(ms)).map(({ state }) => state);
  assert.deepEqual(states(0, [refused, refused]), ['firing']);
  assert.deepEqual(states(5_000, [refused]), []);
  assert.deepEqual(states(REPEAT_MS, [refused]), ['firing']);
  assert.deepEqual(states(REPEAT_MS + 5_000, []), [], 'a flicker is no end');
  assert.deepEqual(states(REPEAT_MS + 10_000, [refused]), []);
  assert.deepEqual(states(REPEAT_MS + 10_000 + KEEP_MS, []), ['resolved']);
  assert.deepEqual(states(REPEAT_MS + 20_000 + KEEP_MS, []), []);
  const [alert] = book.alerts();
  assert.equal(alert?.starts_at, new Date(NOON).toISOString());
  assert.equal(alert.ends_at, new Date(NOON + REPEAT_MS + 10_000 + KEEP_MS).toISOString());
  assert.deepEqual(states(2 * DAY, []), []);
  assert.deepEqual(book.alerts(), [], 'what is over is forgotten after a day');
});

test('what has to hold for a while is pending until then, and gone without a word if it stops', () => {
  const book = createAlertBook([], NOON);
  assert.deepEqual(book.update([lost], at(0)), []);
  assert.equal(book.alerts()[0]?.state, 'pending');
  assert.deepEqual(book.update([], at(60_000)), []);
  assert.deepEqual(book.alerts(), []);
  book.update([lost], at(70_000));
  assert.equal(book.update([lost], at(70_000 + ALERTS[lost.name].forMs)).length, 1);
});

test('a silence keeps an alert in the list and off the phone, until it ends', () => {
  const book = createAlertBook([], NOON);
  const quiet = [silence({ name: 'policy-refused', labels: { node: 'a' } })];
  const other = condition('policy-refused', { node: 'b', namespace: 'default' });
  const told = book.update([refused, other], at(0, quiet));
  assert.deepEqual(
    told.map(({ labels }) => labels['node']),
    ['b'],
  );
  assert.equal(book.alerts().find(({ labels }) => labels['node'] === 'a')?.silenced_by, 's1');
  assert.deepEqual(
    book.update([refused, other], at(5_000)).map(({ labels }) => labels['node']),
    ['a'],
    'told as soon as nobody answers for it any more',
  );
});

test('nobody hears of the end who never heard of the beginning', () => {
  const book = createAlertBook([], NOON);
  book.update([refused], at(0, [silence({ name: 'policy-refused' })]));
  assert.deepEqual(book.update([], at(KEEP_MS)), []);
  assert.equal(book.alerts()[0]?.state, 'resolved');
});

test('an alert explained by another or by a fresh commit pages nobody', () => {
  const stale = condition('enforcement-point-stale', { node: 'a', namespace: 'default' });
  const elsewhere = condition('enforcement-point-stale', { node: 'b', namespace: 'default' });
  const book = createAlertBook([], NOON);
  book.update([refused, stale, elsewhere], at(0));
  const told = book.update([refused, stale, elsewhere], at(ALERTS[stale.name].forMs));
  assert.deepEqual(
    told.map(({ labels }) => labels['node']),
    ['b'],
  );
  const explained = book
    .alerts()
    .find(({ name, labels }) => name === stale.name && labels['node'] === 'a');
  assert.equal(explained?.inhibited_by, conditionId(refused));
  const burst = condition('denial-burst', { source: 'x', namespace: 'default' });
  const expected = { ...burst, expectedBy: 'default@9' };
  const rollout = createAlertBook([], NOON);
  assert.deepEqual(rollout.update([expected], at(0)), []);
  assert.equal(rollout.alerts()[0]?.inhibited_by, 'commit default@9');
  assert.equal(rollout.update([burst], at(600_000)).length, 1, 'ten minutes later it is no excuse');
});

test('nothing that pages is explained away by something that does not', () => {
  for (const { source, targets } of INHIBITIONS) {
    for (const target of targets) {
      assert.ok(
        ALERTS[source].severity === 'page' || ALERTS[target].severity === 'ticket',
        `${source} → ${target}`,
      );
      assert.notEqual(source, target);
    }
  }
});

test('after a restart what fired still fires, and nobody is called again for it', () => {
  const first = createAlertBook([], NOON);
  first.update([refused], at(0));
  const saved = JSON.parse(JSON.stringify(first.save()));
  const second = createAlertBook(saved, NOON + 30_000);
  assert.deepEqual(second.update([refused], at(30_000)), []);
  assert.equal(second.alerts()[0]?.starts_at, new Date(NOON).toISOString());
  const third = createAlertBook(saved, NOON + DAY);
  assert.deepEqual(third.update([], at(DAY)), [], 'not over before somebody looked for a while');
  assert.equal(third.update([], at(DAY + KEEP_MS))[0]?.state, 'resolved');
});

test('a flood of invented callers is a hundred alerts and a count', () => {
  const book = createAlertBook([], NOON);
  const flood = Array.from({ length: 5_000 }, (_, i) =>
    condition('denial-burst', { source: `x${i}` }),
  );
  const told = book.update(flood, at(0));
  assert.equal(told.length, 101);
  assert.match(told.at(-1)?.summary ?? '', /^4900 more: /);
});

test('a silence names what it is for, why, and an end within thirty days', () => {
  const good = { match: { name: 'denial-burst' }, reason: 'known', endsAt: NOON + DAY };
  const cases = [
    [good, true],
    [{ ...good, match: {} }, 'a silence names an alert'],
    [{ ...good, match: { labels: {} } }, 'a silence names an alert'],
    [{ ...good, match: { name: 'everything' } }, 'there is no alert `everything`'],
    [{ ...good, reason: ' ' }, 'a silence says why'],
    [{ ...good, endsAt: NOON }, 'a silence ends in the future'],
    [{ ...good, endsAt: Number.NaN }, 'a silence ends in the future'],
    [{ ...good, endsAt: NOON + 31 * DAY }, 'a silence ends within 30 days'],
  ] as const;
  for (const [request, expected] of cases) {
    const result = checkSilence(request, NOON);
    if (expected === true) assert.deepEqual(result, { ok: true, value: true });
    else assert.ok(!result.ok && result.error.startsWith(expected), JSON.stringify(result));
  }
});

test('a name made to be pasted into a shell commands nothing there', () => {
  const cases = [
    ['default/web', 'default/web'],
    ['spiffe://cluster.local/ns/a/sa/b', 'spiffe://cluster.local/ns/a/sa/b'],
    ['$(reboot)', "'$(reboot)'"],
    ["a'; reboot; '", "'a'\\''; reboot; '\\'''"],
    ['-f', "'-f'"],
    ['a\nb\u001b[2J', "'a\ufffdb\ufffd[2J'"],
    ['', "''"],
  ] as const;
  for (const [word, expected] of cases) assert.equal(shellWord(word), expected);
});
