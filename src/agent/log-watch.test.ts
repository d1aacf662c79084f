import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { WorkloadIdentity } from '#identity';
import { createCell } from '#lib';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import {
  createPolicyKey,
  encodeEnvelope,
  FIRST_PREVIOUS_HASH,
  hashOfLogEntry,
  LOG_HEAD_TYPE,
  type LogEntry,
  loadSigner,
  signJson,
  type TrustRoot,
} from '#trust';
import {
  createMessage,
  LogEntrySchema,
  ReadLogResponseSchema,
  X509SvidResponseSchema,
} from '#wire';
import { createLogWatch } from './log-watch.ts';
import { openStateFolder } from './state-folder.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const key = createPolicyKey();
const signer = loadSigner(key.privateKeyPem);
const trustRoot = { trustDomain: 'example.org', issuanceLogKey: key.publicKey } as TrustRoot;

/** A log of `count` entries; `salt` makes it another one of the same length. */
function logOf(count: number, salt = ''): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let number = 1; number <= count; number++) {
    const body = {
      number,
      previousHash: entries.at(-1)?.hash ?? FIRST_PREVIOUS_HASH,
      timeMs: number,
      spiffeId: 'spiffe://example.org/ns/shop/sa/web',
      serial: `${number}${salt}`,
      expiresAtMs: number + 1000,
      selectors: [],
      requestedBy: 'spiffe://example.org/palisade/agent/one',
      allowedBy: 'shop@1',
      certificateSha256: hash('sha256', derOf(number), 'hex'),
    };
    entries.push({ ...body, hash: hashOfLogEntry(body) });
  }
  return entries;
}

function derOf(number: number): Buffer {
  return Buffer.from(`certificate ${number}`);
}

function signedHead(entries: readonly LogEntry[]): Uint8Array {
  assert.ok(signer.ok);
  const last = entries.at(-1);
  const value = {
    trustDomain: 'example.org',
    number: last?.number ?? 0,
    hash: last?.hash ?? FIRST_PREVIOUS_HASH,
    time: '2026-05-01T12:00:00.000Z',
  };
  return encodeEnvelope(signJson(LOG_HEAD_TYPE, value, signer.value));
}

function startWatch(folder = mkdtempSync(join(tmpdir(), 'palisade-watch-'))) {
  folders.push(folder);
  const shown = { entries: logOf(5) as readonly LogEntry[], head: signedHead(logOf(5)) };
  const watch = createLogWatch({
    folder: openStateFolder(folder),
    agent: createCell<WorkloadIdentity | undefined>({} as WorkloadIdentity),
    authority: {
      readLog: async (_as, after, limit) =>
        createMessage(ReadLogResponseSchema, {
          entries: shown.entries.slice(after, after + limit).map((entry) =>
            createMessage(LogEntrySchema, {
              ...entry,
              number: BigInt(entry.number),
              timeMs: BigInt(entry.timeMs),
              expiresAtMs: BigInt(entry.expiresAtMs),
              selectors: [],
              audience: [],
            }),
          ),
          head: shown.head,
        }),
    },
    trustRoot: () => trustRoot,
    onWitnessed: () => {},
    clock: () => 0,
    random: () => 0.5,
    scheduler: createFakeScheduler(),
    log: createSilentLog(),
  });
  const show = (entries: readonly LogEntry[]) => {
    shown.entries = entries;
    shown.head = signedHead(entries);
  };
  /** Shows these entries under the head that is there. */
  const hide = (entries: readonly LogEntry[]) => {
    shown.entries = entries;
  };
  /** The agent got certificate `number`, which `log` is said to show. */
  const got = (number: number, log: readonly LogEntry[], der = derOf(number)) =>
    watch.note(
      createMessage(X509SvidResponseSchema, {
        chain: [der],
        logNumber: BigInt(number),
        logHash: log[number - 1]?.hash ?? '',
        logHead: signedHead(log),
      }),
    );
  return { watch, show, hide, got, folder };
}

test('a log that grows and shows what was issued is good', async () => {
  const { watch, show, got } = startWatch();
  got(3, logOf(3));
  got(5, logOf(5));
  await watch.look();
  show(logOf(20));
  got(12, logOf(14));
  await watch.look();
  assert.equal(watch.problem(), undefined);
});

test('attack: a certificate that the log does not show', async () => {
  const { watch, show, got } = startWatch();
  got(3, logOf(3));
  // The authority promises entry 4 for it, and later has another there.
  got(4, logOf(4), Buffer.from('another certificate'));
  show(logOf(9));
  await watch.look();
  assert.match(watch.problem() ?? '', /is not in the log/);
});

test('attack: the log is rolled back', async () => {
  const { watch, show, got } = startWatch();
  got(4, logOf(4));
  await watch.look();
  show(logOf(3));
  await watch.look();
  assert.match(watch.problem() ?? '', /rolled back/);
});

test('attack: the log forks, also behind a head of the same number, and over a restart', async () => {
  const first = startWatch();
  first.got(4, logOf(4));
  await first.watch.look();
  const again = startWatch(first.folder);
  again.show(logOf(8, 'x'));
  await again.watch.look();
  assert.match(again.watch.problem() ?? '', /forked/);
});

test('attack: a head that another key signed, and none', () => {
  const other = createPolicyKey();
  const forger = loadSigner(other.privateKeyPem);
  assert.ok(forger.ok);
  const { watch } = startWatch();
  const [, , entry] = logOf(3);
  const value = { trustDomain: 'example.org', number: 3, hash: entry?.hash, time: 'now' };
  const forged = encodeEnvelope(signJson(LOG_HEAD_TYPE, value, forger.value));
  for (const logHead of [forged, new Uint8Array()]) {
    watch.note(createMessage(X509SvidResponseSchema, { logNumber: 3n, logHead }));
    assert.match(watch.problem() ?? '', /no head of its log/);
  }
});

test('attack: the signed head speaks of entries that are not shown', async () => {
  const { watch, show, got, hide } = startWatch();
  got(5, logOf(5));
  await watch.look();
  show(logOf(9));
  hide(logOf(5));
  await watch.look();
  assert.match(watch.problem() ?? '', /does not show entries after 5/);
});
