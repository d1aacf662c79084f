import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPolicyKey, type DsseEnvelope, loadSigner } from '#trust';
import { signCheckpoint } from './checkpoint.ts';
import type { AuditFields } from './event.ts';
import { type AuditLog, openAuditLog } from './log.ts';

/** A log in a folder of its own with a clock that tests set, and somebody who signs whatever it is shown; for tests. */
export type FakeLog = {
  readonly folder: string;
  /** Unix milliseconds. */
  readonly time: { now: number };
  readonly audit: () => AuditLog;
  readonly fill: (count: number) => Promise<void>;
  readonly reopen: () => Promise<void>;
  readonly sign: () => {
    readonly size: number;
    readonly root: string;
    readonly envelope: DsseEnvelope;
  };
  readonly trust: { readonly issuanceLogKey: string; readonly trustDomain: string };
  readonly close: () => Promise<void>;
};

/** What a test logs as the `n`th thing. */
export function deed(n: number): AuditFields {
  return { action: 'policy.commit', 'actor.id': 'ann', 'target.name': `commit ${n}`, result: 'ok' };
}

/** Creates an empty one. */
export function createFakeLog(): FakeLog {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-audit-'));
  const time = { now: Date.UTC(2026, 0, 1) };
  const signer = loadSigner(createPolicyKey().privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  const open = (): AuditLog =>
    openAuditLog({
      folder,
      clock: () => time.now,
      onError(error) {
        throw error;
      },
    });
  let audit = open();
  return {
    folder,
    time,
    audit: () => audit,
    async fill(count) {
      const from = audit.newestIndex() + 1;
      await Promise.all(Array.from({ length: count }, (_, i) => audit.append(deed(from + i))));
    },
    async reopen() {
      await audit.close();
      audit = open();
    },
    sign() {
      const tip = audit.head();
      const signed = {
        ...tip,
        trustDomain: 'td',
        log: 'control',
        time: '2026-01-01T00:00:00.000Z',
      };
      return { ...tip, envelope: signCheckpoint(signed, signer.value) };
    },
    trust: { issuanceLogKey: signer.value.publicKey, trustDomain: 'td' },
    async close() {
      await audit.close();
      rmSync(folder, { recursive: true });
    },
  };
}
