const SCRATCH_BYTES = 16 * 1024;

// One buffer for all: nearly every write is taken by the kernel or copied by the tunnel before the next one is made.
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
let view = scratch.subarray(0, 0);
let isFree = true;

/** A buffer of exactly so many bytes for one write, to be given back once its bytes were taken. */
export function takeScratch(bytes: number): Buffer {
  if (!isFree || bytes > SCRATCH_BYTES) return Buffer.allocUnsafe(bytes);
  isFree = false;
  if (view.length !== bytes) view = scratch.subarray(0, bytes);
  return view;
}

/** Nobody needs the bytes any more; to be called at most once for each that was taken. */
export function giveBackScratch(bytes: Buffer): void {
  if (bytes === view) isFree = true;
}
