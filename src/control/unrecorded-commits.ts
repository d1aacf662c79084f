import type { AuditTrail } from './audit-trail.ts';
import type { Store } from './store.ts';

// A crash between storing a commit and recording it leaves the newest commits unrecorded, never older ones.
const RECORDS = 5_000;
const COMMITS = 20;

/**
 * Records the commits that were stored and, because the process was killed right then, not recorded. Nobody was told that
 * they had been taken; they are in force all the same. Resolves to how many there were.
 */
export async function recordUnrecordedCommits(
  audit: Pick<AuditTrail, 'append' | 'readAfter' | 'newestIndex'>,
  store: Pick<Store, 'heads' | 'commitsAfter'>,
): Promise<number> {
  const events = await audit.readAfter(Math.max(-1, audit.newestIndex() - RECORDS), RECORDS);
  const [oldest] = events;
  // Commits of before the log began are not its business.
  if (oldest === undefined) return 0;
  const known = new Set(events.map(({ reason }) => reason));
  const commits = store
    .heads()
    .flatMap(({ namespace, number }) => store.commitsAfter(namespace, number - COMMITS))
    .filter(({ hash, receivedAt }) => receivedAt >= oldest.time && !known.has(`commit ${hash}`));
  for (const { namespace, number, hash, receivedFrom, receivedAt } of commits) {
    await audit.append({
      action: 'policy.commit',
      'actor.id': receivedFrom,
      'target.kind': 'PolicySet',
      'target.name': String(number),
      'target.namespace': namespace,
      result: 'ok',
      reason: `commit ${hash}`,
      diff: `received at ${receivedAt}, recorded after a crash\n`,
    });
  }
  return commits.length;
}
