import type { RevocationStore } from '#revocation';
import { describeTarget } from '#trust';
import type { AuditTrail } from './audit-trail.ts';

/**
 * Records the revocations and lifts that the authority or an agent brought: whoever hands one in at the API is recorded
 * with the request. Returns how to stop.
 */
export function recordRevocations(
  revocations: Pick<RevocationStore, 'onAdded'>,
  audit: Pick<AuditTrail, 'append'>,
): () => void {
  return revocations.onAdded((entries, from) => {
    if (from === undefined) return;
    for (const { revocation } of entries) {
      const { act, author, target } = revocation;
      const fields = {
        action: act.kind === 'lift' ? 'identity.unrevoke' : 'identity.revoke',
        // Who signed it, which was verified; who brought it is nobody in particular.
        'actor.id': author,
        'target.kind': 'Identity',
        'target.name': describeTarget(target),
        result: 'ok' as const,
        reason: act.reason,
      };
      audit.append(fields).catch(() => {
        // Kept, and recorded once the disk takes it; it is in force either way.
      });
    }
  });
}
