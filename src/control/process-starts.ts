import type { Hello } from '#wire';
import { createAllowance } from './allowance.ts';
import type { AuditTrail } from './audit-trail.ts';

/** Puts each start of a process of the mesh on record, once, when it first says hello. */
export type ProcessStarts = {
  readonly greeted: (hello: Hello, peer: string) => void;
};

const ACTION = 'process.start';
// What is looked through of the log at a start, so that processes that were on record before are not again.
const REMEMBERED = 20_000;
const MAX_NODES = 50_000;
// SECURITY: an agent that greets under ever new names must not fill the disk.
const STARTS_PER_MINUTE = 1_000;

/** Begins with the starts that the end of the log knows. */
export function createProcessStarts(
  audit: Pick<AuditTrail, 'append' | 'readAfter' | 'newestIndex'>,
  clock: () => number,
): ProcessStarts {
  const seen = new Map<string, string>();
  const allowance = createAllowance(clock, STARTS_PER_MINUTE);
  const recalled = recall(audit, seen);

  async function note(hello: Hello, peer: string): Promise<void> {
    // A log that cannot be read costs a record too many, no greeting.
    await recalled.catch(() => undefined);
    const startedAt = startOf(hello);
    if (startedAt === undefined || seen.get(hello.node) === startedAt || !allowance.take()) return;
    if (seen.size >= MAX_NODES) seen.clear();
    seen.set(hello.node, startedAt);
    await audit
      .append({
        action: ACTION,
        'actor.id': hello.spiffeId === '' ? peer : hello.spiffeId,
        'target.kind': 'Process',
        'target.name': hello.node,
        result: 'ok',
        reason: startedAt,
      })
      .catch(() => undefined);
  }

  return { greeted: (hello, peer) => void note(hello, peer) };
}

/** `proxy, started INSTANT`; undefined where an earlier version does not say. */
function startOf({ kind, startedAtMs }: Hello): string | undefined {
  const at = new Date(Number(startedAtMs));
  if (startedAtMs <= 0n || Number.isNaN(at.getTime())) return undefined;
  return `${kind}, started ${at.toISOString()}`;
}

async function recall(
  audit: Pick<AuditTrail, 'readAfter' | 'newestIndex'>,
  seen: Map<string, string>,
): Promise<void> {
  const from = Math.max(-1, audit.newestIndex() - REMEMBERED);
  for (const event of await audit.readAfter(from, REMEMBERED)) {
    const { 'target.name': node, reason } = event;
    if (event.action === ACTION && node !== undefined && reason !== undefined)
      seen.set(node, reason);
  }
}
