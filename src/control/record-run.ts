import { EVENT } from '#telemetry';
import { meshId } from './addresses.ts';
import type { ControlOptions } from './control-options.ts';
import type { ControlCore } from './core.ts';
import { recordRevocations } from './record-revocations.ts';
import type { Closer } from './served.ts';
import { recordUnrecordedCommits } from './unrecorded-commits.ts';

const AUDIT_CARE_MS = 3_600_000;

/**
 * Writes the first record of a run, and the last one where it ends as it should; in between, what others sign is recorded
 * as it comes, and the log is verified and its old records expire each hour.
 */
export async function recordRun(
  { trustDomain, softwareVersion, log }: ControlOptions,
  { audit, store, revocations }: ControlCore,
  closers: Closer[],
): Promise<void> {
  const fields = {
    'actor.id': meshId(trustDomain, 'control').text,
    'target.kind': 'Process',
    'target.name': 'control',
    result: 'ok' as const,
  };
  // A full disk must not keep a control plane from starting: it is what those who are to help look at.
  const start = { ...fields, action: 'process.start', reason: softwareVersion ?? '' };
  await recordUnrecordedCommits(audit, store).catch((error: unknown) => {
    log.error(EVENT.auditNotWritten, { action: 'policy.commit', error });
  });
  await audit.append(start).catch(() => undefined);
  closers.push(recordRevocations(revocations, audit));
  closers.push(() =>
    audit.append({ ...fields, action: 'process.stop' }).then(
      () => undefined,
      () => undefined,
    ),
  );
  const care = async (): Promise<void> => {
    try {
      await audit.verify();
      await audit.expire();
    } catch (error) {
      log.error(EVENT.auditBroken, { error });
    }
  };
  void care();
  const caring = setInterval(() => void care(), AUDIT_CARE_MS);
  closers.push(() => clearInterval(caring));
}
