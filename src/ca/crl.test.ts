import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createRoot, parseTrustDomain, pemToDer, type RevocationCheck } from '#identity';
import { createCell } from '#lib';
import { createSilentLog, type Log } from '#telemetry';
import type { ActiveRevocation, LogEntry, VerifiedRevocation } from '#trust';
import { createCrl, publishCrl } from './crl.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-crl-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const NOW_MS = Date.now();
const domain = parseTrustDomain('example.org');
assert.ok(domain.ok);
const issuer = createRoot({ trustDomain: domain.value, nowMs: NOW_MS, ttlMs: 3_600_000 });

function entry(serial: string, more: Partial<LogEntry> = {}): LogEntry {
  return {
    number: 1,
    previousHash: '',
    hash: '',
    timeMs: NOW_MS,
    spiffeId: 'spiffe://example.org/ns/shop/sa/web',
    serial,
    expiresAtMs: NOW_MS + 1000,
    selectors: [],
    requestedBy: 'spiffe://example.org/palisade/agent/one',
    allowedBy: 'shop@1',
    certificateSha256: '',
    ...more,
  };
}

// Something is revoked: which serials, the check says.
const SOME = [
  { hash: 'a', revocation: { act: { kind: 'revoke', until: null }, target: { kind: 'serial' } } },
] as unknown as VerifiedRevocation[];

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const skip = hasOpenssl ? false : 'openssl is not installed';

/** What OpenSSL reads in the list, having verified its signature. */
async function read(
  entries: readonly LogEntry[],
  revoked: RevocationCheck,
  revocations = SOME,
): Promise<string> {
  const [list, root] = [join(folder, 'crl.der'), join(folder, 'root.pem')];
  writeFileSync(
    list,
    await createCrl({ issuer, entries, revoked, revocations, nowMs: NOW_MS, number: 7 }),
  );
  writeFileSync(root, issuer.certificatePem);
  const args = ['crl', '-inform', 'DER', '-in', list, '-CAfile', root, '-noout', '-text'];
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

test('the list has what is revoked and has not expired, and OpenSSL reads and verifies it', {
  skip,
}, async () => {
  const entries = [
    entry('4aaa'),
    entry('4bbb', { expiresAtMs: NOW_MS - 1 }),
    entry('4ccc'),
    entry('4ddd', { kind: 'jwt' }),
  ];
  const text = await read(entries, ({ serial }) =>
    serial === '4ccc' ? undefined : { code: 'revoked', message: 'revoked' },
  );
  assert.match(text, /Serial Number: 4AAA/);
  for (const other of ['4BBB', '4CCC', '4DDD']) assert.doesNotMatch(text, new RegExp(other));
  assert.match(text, /X509v3 CRL Number:\s+7/);
});

test('where nothing is revoked the list is empty and valid', { skip }, async () => {
  assert.match(await read([entry('4aaa')], () => undefined, []), /No Revoked Certificates/);
});

/** A publisher over fakes: timers that the test runs, an issuance log of `entries`, a clock that it sets. */
function publishing(file: string, entries: readonly LogEntry[]) {
  const timers: { readonly ms: number; readonly work: () => void; isOver: boolean }[] = [];
  const check = createCell<RevocationCheck>(() => undefined);
  const errors: unknown[] = [];
  const state = { nowMs: NOW_MS, issuers: [issuer], active: [] as { readonly until: number }[] };
  const log = { ...createSilentLog(), error: (event: string) => errors.push(event) };
  const publisher = publishCrl({
    path: file,
    issuers: () => state.issuers,
    issuanceLog: { read: (after) => (after === 0 ? [...entries] : []) },
    store: {
      check,
      all: () => SOME,
      active: () => state.active as unknown as readonly ActiveRevocation[],
    },
    clock: () => state.nowMs,
    scheduler: {
      after(ms, work) {
        const timer = { ms, work, isOver: false };
        timers.push(timer);
        return () => {
          timer.isOver = true;
        };
      },
    },
    log: log as unknown as Log,
  });
  /** Runs the one timer that waits, and waits for the next one; how long that one takes, in ms. */
  async function run(): Promise<number> {
    const due = timers.splice(0).find(({ isOver }) => !isOver);
    assert.ok(due);
    due.isOver = true;
    due.work();
    for (let i = 0; i < 1000; i++) {
      const next = timers.find(({ isOver }) => !isOver);
      if (next !== undefined) return next.ms;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error('no list follows');
  }
  const texts = () =>
    pemToDer(readFileSync(file, 'utf8'), 'X509 CRL').map((der) => {
      const args = ['crl', '-inform', 'DER', '-noout', '-text'];
      return execFileSync('openssl', args, { input: Buffer.from(der), encoding: 'utf8' });
    });
  return { publisher, state, check, errors, run, texts, timers };
}

const numberOf = (text: string | undefined) => BigInt(/Number:\s+(\S+)/.exec(text ?? '')?.[1] ?? 0);

test('numbers grow with each list, in one second and under a clock that was set back', {
  skip,
}, async () => {
  const { publisher, state, check, run, texts } = publishing(join(folder, 'number.pem'), []);
  const numbers: bigint[] = [];
  for (const stepMs of [0, 0, 200, -5_000]) {
    state.nowMs += stepMs;
    check.set(() => undefined);
    await run();
    numbers.push(numberOf(texts()[0]));
  }
  publisher.close();
  assert.deepEqual([...new Set(numbers)].sort(), numbers);
});

test('an entry says when it was revoked, the same in each list', { skip }, async () => {
  const { publisher, state, check, run, texts } = publishing(join(folder, 'since.pem'), [
    entry('4aaa', { expiresAtMs: NOW_MS + 86_400_000 }),
  ]);
  const since = Date.UTC(2026, 0, 2, 3, 4, 5);
  check.set(() => ({ code: 'revoked', message: 'revoked', since }));
  await run();
  state.nowMs += 3_600_000;
  check.set(() => ({ code: 'revoked', message: 'revoked', since }));
  await run();
  publisher.close();
  assert.match(texts()[0] ?? '', /Revocation Date: Jan {2}2 03:04:05 2026/);
});

test('while a rotation has two issuers each has its list, and a new one gets its own at once', {
  skip,
}, async () => {
  const file = join(folder, 'two.pem');
  const { publisher, state, run, texts, timers } = publishing(file, [entry('4aaa')]);
  await run();
  publisher.refresh();
  assert.equal(timers.filter(({ isOver, ms }) => !isOver && ms < 1000).length, 0, 'nothing is new');
  assert.ok(domain.ok);
  const next = createRoot({ trustDomain: domain.value, nowMs: NOW_MS, ttlMs: 3_600_000 });
  state.issuers = [next, issuer];
  publisher.refresh();
  assert.ok(timers.some(({ isOver, ms }) => !isOver && ms < 1000));
  await run();
  publisher.close();
  assert.equal(texts().length, 2);
  for (const { certificatePem } of [next, issuer]) {
    const root = join(folder, 'one-of-two.pem');
    writeFileSync(root, certificatePem);
    const verified = pemToDer(readFileSync(file, 'utf8'), 'X509 CRL').filter((der) => {
      const args = ['crl', '-inform', 'DER', '-CAfile', root, '-noout'];
      const { stderr } = spawnSync('openssl', args, { input: Buffer.from(der), encoding: 'utf8' });
      return /verify OK/.test(stderr);
    });
    assert.equal(verified.length, 1);
  }
});

test('a list that could not be written is tried again soon, and one whose revocation ends is made anew then', async () => {
  const file = join(folder, 'missing', 'crl.pem');
  const { publisher, state, errors, run } = publishing(file, []);
  assert.ok((await run()) <= 30_000, 'not in six hours');
  assert.equal(errors.length, 1);
  mkdirSync(join(folder, 'missing'));
  state.active = [{ until: NOW_MS - 1 }, { until: NOW_MS + 60_000 }, { until: Infinity }];
  assert.equal(await run(), 60_000);
  publisher.close();
});
