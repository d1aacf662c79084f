const SCRATCH_BYTES = 64 * 1024;
// Taken once: Node.js has a getter for `Buffer`, which each use of the name would call.
const { allocUnsafe } = Buffer;

// One buffer for all: nearly every write is taken by the kernel or copied by the tunnel before the event is over. Answers that
// go out together lie one behind the other, and as those of one kind are of one size, the views of the last time do.
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
const views: Buffer[] = [];
let taken = 0;
let used = 0;
let place = 0;

/** A buffer of exactly so many bytes for one write, to be given back once its bytes were taken. */
export function takeScratch(bytes: number): Buffer {
  if (taken++ === 0) {
    used = 0;
    place = 0;
  }
  if (bytes > SCRATCH_BYTES - used) return allocUnsafe(bytes);
  const start = used;
  used += bytes;
  const last = views[place];
  if (last?.length === bytes && last.byteOffset === start) {
    place++;
    return last;
  }
  const view = scratch.subarray(start, used);
  views[place++] = view;
  return view;
}

/**
 * Nobody needs the bytes any more. SECURITY: exactly once for each that was taken, as a pipe's `onWritten` is called: twice, and
 * bytes that are still to be sent are given to somebody else.
 */
export function giveBackScratch(): void {
  taken--;
}
