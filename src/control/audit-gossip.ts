import { encodeEnvelope } from '#trust';
import type { AuditTrail } from './audit-trail.ts';

/** A checkpoint for somebody who keeps that of `fromSize` records. */
export type ShownCheckpoint = {
  readonly envelope: Uint8Array<ArrayBuffer>;
  readonly fromSize: bigint;
  readonly proof: string[];
  readonly toSize: number;
};

// Agents of one mesh keep one of the last few checkpoints.
const REMEMBERED = 64;

/** The newest signed checkpoint with its proof; each proof is made once for all who ask from the same size. */
export function createCheckpointProofs(
  audit: Pick<AuditTrail, 'checkpoint' | 'leaves'>,
): (from: number) => ShownCheckpoint | undefined {
  const shown = new Map<number, ShownCheckpoint>();
  let size = 0;
  return (from) => {
    const newest = audit.checkpoint();
    if (newest === undefined) return undefined;
    if (newest.size !== size || shown.size > REMEMBERED) shown.clear();
    size = newest.size;
    const known = shown.get(from);
    if (known !== undefined) return known;
    // Whoever keeps more than there is sees by the size alone that it was taken back.
    const isProvable = from > 0 && from < size;
    const made = {
      envelope: new Uint8Array(encodeEnvelope(newest.envelope)),
      fromSize: BigInt(from),
      proof: isProvable ? audit.leaves.consistency(from, size) : [],
      toSize: size,
    };
    shown.set(from, made);
    return made;
  };
}
