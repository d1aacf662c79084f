/**
 * Receives what a connection reads. The chunk is only lent: whoever needs bytes of it after
 * returning copies them.
 */
export type ChunkSink = { onChunk: (chunk: Buffer) => void };

/** What `net.connect` and `tls.connect` take as `onread`. */
export type LentRead = { readonly buffer: Buffer; readonly callback: (count: number) => boolean };

// Every read lands in this buffer and is handled before the next one. Node.js would otherwise take
// 64 KiB from the allocator for each read, and most of a busy proxy's memory would be their remains.
const LENT = Buffer.allocUnsafeSlow(64 * 1024);

/** Makes a connection read into the process's one read buffer. */
export function lentRead(sink: ChunkSink): LentRead {
  return {
    buffer: LENT,
    callback(count) {
      sink.onChunk(LENT.subarray(0, count));
      return true;
    },
  };
}
