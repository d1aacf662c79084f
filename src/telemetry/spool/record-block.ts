import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { fail, ok, type Result } from '#lib';

/** No block holds more bytes of records. */
export const MAX_BLOCK_BYTES = 1024 * 1024;
/** No message holds more blocks: after an outage there are many small ones. */
export const MAX_BLOCKS = 64;

/**
 * Packs records, each a line of JSON with its line feed, for disk and wire (RFC 8878, Zstandard): a twentieth of their
 * size for a microsecond each, which is less than it costs to copy them on their way.
 */
export function packLines(lines: Uint8Array): Buffer {
  if (lines.length === 0) return Buffer.alloc(0);
  // Told the size, the compressor makes its tables no larger than that.
  return zstdCompressSync(lines, { ...FAST, pledgedSrcSize: lines.length });
}

// Room for most blocks: the default is what the format could take, 128 KiB that are mapped and cleared for each one.
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: 16 * 1024 };

/** The lines of a block. SECURITY: whoever packed it may be hostile: never more than `MAX_BLOCK_BYTES`. */
export function unpackLines(block: Uint8Array): Result<Buffer, string> {
  if (block.length === 0) return ok(Buffer.alloc(0));
  try {
    return ok(zstdDecompressSync(block, { maxOutputLength: MAX_BLOCK_BYTES }));
  } catch {
    return fail('records that cannot be unpacked');
  }
}
