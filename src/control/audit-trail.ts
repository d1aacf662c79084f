import { join } from 'node:path';
import {
  type AuditEvent,
  type AuditFields,
  type AuditLog,
  type AuditProblem,
  type LegalHold,
  openAuditLog,
  verifyFolder,
} from '#audit';
import type { Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  type Checkpoints,
  openCheckpoints,
  type WitnessedCheckpoint,
} from './audit-checkpoints.ts';
import { type HoldProblem, openRetention } from './audit-retention.ts';

/** What is known of a log and of its verification; times are ISO 8601. */
export type AuditVerification = {
  readonly name: string;
  /** Records in it. */
  readonly size: number;
  /** Hash of the last record; null while there is none. */
  readonly head: string | null;
  readonly checkpoint: {
    readonly size: number;
    readonly root: string;
    readonly signed_at: string;
  } | null;
  readonly state: 'verified' | 'failed' | 'unverified';
  readonly verified_at: string | null;
  readonly problem: { readonly index: number; readonly message: string } | null;
};

/** The control plane's audit log: what was done here, by whom. */
export type AuditTrail = Pick<
  AuditLog,
  'readAfter' | 'newestIndex' | 'onEvent' | 'leaves' | 'head'
> & {
  readonly folder: string;
  /** Resolves when the record is on disk. Rejects when the disk refuses; it is then logged with the next record. */
  readonly append: (fields: AuditFields) => Promise<AuditEvent>;
  /** Resolves to why nothing may be done now, in words: there are records that the disk does not take. */
  readonly refusal: () => Promise<string | undefined>;
  /** How many times the disk did not take a record. */
  readonly failures: () => number;
  readonly verification: () => AuditVerification;
  /** Reads the whole log again and compares it with what was signed. */
  readonly verify: () => Promise<AuditVerification>;
  readonly holds: () => readonly LegalHold[];
  /** Keeps records from expiring; fails where there is a hold of that name, or the disk refuses. */
  readonly hold: (hold: LegalHold) => Result<LegalHold, HoldProblem>;
  readonly release: (name: string) => Result<LegalHold, HoldProblem>;
  /** Deletes the records that are older than they are kept for; resolves to how many went. */
  readonly expire: () => Promise<number>;
  readonly checkpoint: () => WitnessedCheckpoint | undefined;
  readonly onCheckpoint: Checkpoints['onSigned'];
  /** Asks for a signature of the log's end now; resolves when it is signed, or cannot be. */
  readonly sign: () => Promise<void>;
  readonly follow: Checkpoints['follow'];
  readonly close: () => Promise<void>;
};

/** What a trail works with; `clock` in Unix milliseconds. */
export type AuditTrailOptions = {
  readonly folder: string;
  readonly trustDomain: string;
  readonly openEnvelope: Parameters<typeof openCheckpoints>[0]['openEnvelope'];
  /** How long records are kept, ms. */
  readonly retentionMs: number;
  readonly clock: () => number;
  readonly log: Log;
};

// Records that the disk did not take wait for it; more than this and nothing may be done until it does.
const MAX_OWED = 1_000;

/** Opens the control plane's log. Throws where its folder cannot be written. */
export function openAuditTrail(options: AuditTrailOptions): AuditTrail {
  const { clock, log } = options;
  const folder = join(options.folder, 'audit');
  const onError = (error: unknown): void => log.error(EVENT.listenerFailed, { error });
  const kept = openCheckpoints({ ...options, folder });
  const trustedSize = kept.newest()?.size ?? 0;
  const audit = openAuditLog({ folder, clock, trustedSize, onError });
  kept.attach(audit);
  for (const problem of audit.setAside) log.error(EVENT.auditSetAside, { ...problem });
  const writer = createOwingWriter(audit, log);
  const keeping = openRetention({ ...options, folder, audit, kept });
  const verifying = createVerifying({ folder, audit, kept, clock, log });
  return {
    folder,
    readAfter: (index, limit) => audit.readAfter(index, limit),
    newestIndex: () => audit.newestIndex(),
    onEvent: (listener) => audit.onEvent(listener),
    leaves: audit.leaves,
    head: () => audit.head(),
    ...writer,
    ...verifying,
    holds: keeping.holds,
    hold: keeping.hold,
    release: keeping.release,
    async expire() {
      const count = keeping.expire();
      if (count > 0) {
        const { trustDomain } = options;
        await writer.append({
          action: 'audit.expire',
          'actor.id': `spiffe://${trustDomain}/palisade/control`,
          'target.kind': 'AuditLog',
          'target.name': 'control',
          result: 'ok',
          reason: `${count} records of before ${new Date(clock() - options.retentionMs).toISOString()}`,
        });
      }
      return count;
    },
    checkpoint: () => kept.newest(),
    onCheckpoint: (listener) => kept.onSigned(listener),
    sign: () => kept.sign(),
    follow: (ask) => kept.follow(ask),
    async close() {
      kept.close();
      await audit.close();
    },
  };
}

/** Keeps what the disk did not take and logs it, once and in order, before anything else. */
function createOwingWriter(
  audit: AuditLog,
  log: Log,
): Pick<AuditTrail, 'append' | 'refusal' | 'failures'> {
  const owed: AuditFields[] = [];
  let failures = 0;
  let paying: Promise<void> | undefined;

  async function payAll(): Promise<void> {
    for (let next = owed[0]; next !== undefined; next = owed[0]) {
      await audit.append(next);
      owed.shift();
    }
  }

  // INVARIANT: one at a time, so that nothing owed is logged twice.
  function pay(): Promise<void> {
    paying ??= payAll().finally(() => {
      paying = undefined;
    });
    return paying;
  }

  return {
    async append(fields) {
      try {
        if (owed.length > 0) await pay();
        return await audit.append(fields);
      } catch (error) {
        failures += 1;
        log.error(EVENT.auditNotWritten, { action: fields.action, error });
        if (owed.length < MAX_OWED) owed.push(fields);
        throw error;
      }
    },
    async refusal() {
      if (owed.length === 0) return undefined;
      try {
        await pay();
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    failures: () => failures,
  };
}

function createVerifying(of: {
  readonly folder: string;
  readonly audit: AuditLog;
  readonly kept: Checkpoints;
  readonly clock: () => number;
  readonly log: Log;
}): Pick<AuditTrail, 'verification' | 'verify'> {
  const { folder, audit, kept, clock, log } = of;
  let verified: { at: number; problem: AuditProblem | undefined } | undefined;

  function verification(): AuditVerification {
    const { size, last } = audit.head();
    const checkpoint = kept.newest();
    const problem = kept.problem() ?? verified?.problem ?? null;
    const isVerified = verified !== undefined && checkpoint !== undefined;
    return {
      name: 'control',
      size,
      head: size === 0 ? null : last,
      checkpoint: checkpoint
        ? { size: checkpoint.size, root: checkpoint.root, signed_at: checkpoint.time }
        : null,
      state: problem !== null ? 'failed' : isVerified ? 'verified' : 'unverified',
      verified_at: verified === undefined ? null : new Date(verified.at).toISOString(),
      problem,
    };
  }

  return {
    verification,
    async verify() {
      const { problem } = await verifyFolder(folder, kept.all());
      if (problem !== undefined) log.error(EVENT.auditBroken, { ...problem });
      verified = { at: clock(), problem };
      return verification();
    },
  };
}
