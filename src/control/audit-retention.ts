import {
  type AuditLog,
  expireSegments,
  type LegalHold,
  readHolds,
  SEGMENT_RECORDS,
  writeHolds,
} from '#audit';
import { fail, ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { Checkpoints } from './audit-checkpoints.ts';

/** Why a hold was not made or released. */
export type HoldProblem = {
  readonly kind: 'bad_request' | 'not_found' | 'storage_failed';
  readonly message: string;
};

/** How long records are kept, and which are kept for longer. */
export type Retention = {
  readonly holds: () => readonly LegalHold[];
  readonly hold: (hold: LegalHold) => Result<LegalHold, HoldProblem>;
  readonly release: (name: string) => Result<LegalHold, HoldProblem>;
  /** Deletes what is old enough; returns how many records went. */
  readonly expire: () => number;
};

const MAX_HOLDS = 1_000;

/** Opens the holds of a log's folder. Throws where they are there and cannot be read. */
export function openRetention(options: {
  readonly folder: string;
  readonly audit: Pick<AuditLog, 'activeFirst'>;
  readonly kept: Pick<Checkpoints, 'newest'>;
  readonly retentionMs: number;
  readonly clock: () => number;
  readonly log: Log;
}): Retention {
  const { folder, audit, kept, retentionMs, clock, log } = options;
  let holds = readHolds(folder);

  function keep(next: readonly LegalHold[], about: LegalHold): Result<LegalHold, HoldProblem> {
    try {
      writeHolds(folder, next);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return fail({ kind: 'storage_failed', message: `nothing was changed: ${reason}` });
    }
    holds = next;
    return ok(about);
  }

  return {
    holds: () => holds,
    hold(hold) {
      const refuse = (message: string) => fail({ kind: 'bad_request' as const, message });
      if (holds.some(({ name }) => name === hold.name)) {
        return refuse(`there is a hold \`${hold.name}\` already`);
      }
      if (hold.until !== undefined && hold.until <= hold.since) {
        return refuse('`until` is not after `since`');
      }
      if (holds.length >= MAX_HOLDS) return refuse(`there are ${MAX_HOLDS} holds already`);
      return keep([...holds, hold], hold);
    },
    release(name) {
      const found = holds.find((hold) => hold.name === name);
      if (found === undefined) {
        return fail({ kind: 'not_found', message: `there is no hold \`${name}\`` });
      }
      return keep(
        holds.filter((hold) => hold !== found),
        found,
      );
    },
    expire() {
      const { segments, problems } = expireSegments(folder, {
        before: clock() - retentionMs,
        signedSize: kept.newest()?.size ?? 0,
        holds,
        activeFirst: audit.activeFirst(),
      });
      for (const problem of problems) log.error(EVENT.auditBroken, { ...problem });
      if (segments.length > 0) log.info(EVENT.auditExpired, { segments: segments.length });
      return segments.length * SEGMENT_RECORDS;
    },
  };
}
