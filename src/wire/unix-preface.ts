import type { Socket } from 'node:net';

// RFC 9113 section 3.4, and the frame header of section 4.1.
const MAGIC = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEADER_BYTES = 9;
const HEADERS = 0x1;
const SETTINGS = 0x4;
const ACK = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
// SECURITY: what a client may send before it is handed on: more than the window that it starts with lets it.
const MAX_BYTES = 128 * 1024;
// RFC 9113 section 6.5.2: until we said otherwise.
const MAX_FRAME = HEADER_BYTES + 16_384;
/** RFC 3986's characters of an authority: what Node.js' HTTP/2 server takes. */
const AUTHORITY = /[A-Za-z0-9\-._~!$&'()*+,;=:@%[\]]/;

/**
 * Holds a client of a Unix socket until it has sent its first request, and hands it on with that request's `:authority`
 * mended. grpc-java, and so java-spiffe, sends the socket's path there (grpc-java issue 12664), which Node.js refuses
 * before anybody here is asked. Nothing is decided by that name, and everything later on the connection refers to what
 * was sent first by its index (RFC 7541 section 2.3).
 */
export function greetUnixClient(socket: Socket, handOn: () => void): void {
  const preface = holdPreface();
  // Some clients wait for the server's settings before they send a request; how they acknowledge these is taken out.
  socket.write(EMPTY_SETTINGS);
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    const mended = chunk === null ? undefined : preface.take(chunk);
    if (mended === undefined) return;
    socket.off('readable', onReadable);
    socket.unshift(mended);
    handOn();
  };
  socket.on('readable', onReadable);
}

/**
 * Takes what a client sends, chunk by chunk. `take` answers all of it once it holds a request and an acknowledgement of
 * settings: with the authority of its requests mended and without that acknowledgement. What is not HTTP/2 as we know it
 * is answered as it is, for the server to refuse.
 */
export function holdPreface(): { readonly take: (chunk: Uint8Array) => Buffer | undefined } {
  let held = Buffer.allocUnsafe(1024);
  let length = 0;
  // The next frame that is not complete yet: nothing is looked at twice, however small the chunks are.
  let at = MAGIC.length;
  let acknowledged: number | undefined;
  let isAsking = false;

  function append(chunk: Uint8Array): void {
    if (length + chunk.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * held.length, length + chunk.length));
      held.copy(larger, 0, 0, length);
      held = larger;
    }
    held.set(chunk, length);
    length += chunk.length;
  }

  /** Passes over the frames that are complete; false where one is larger than any may be. */
  function scan(): boolean {
    while (at + HEADER_BYTES <= length) {
      const end = at + HEADER_BYTES + held.readUIntBE(at, 3);
      if (end - at > MAX_FRAME) return false;
      if (end > length) return true;
      const type = held[at + 3];
      const flags = held[at + 4] ?? 0;
      if (type === SETTINGS && (flags & ACK) !== 0) acknowledged ??= at;
      if (type === HEADERS) {
        isAsking = true;
        mendHeaders(held.subarray(at + HEADER_BYTES, end), flags);
      }
      at = end;
    }
    return true;
  }

  return {
    take(chunk) {
      append(chunk);
      const bytes = held.subarray(0, length);
      const seen = Math.min(length, MAGIC.length);
      if (!bytes.subarray(0, seen).equals(MAGIC.subarray(0, seen)) || !scan()) return bytes;
      if (acknowledged === undefined || !isAsking) return length > MAX_BYTES ? bytes : undefined;
      const rest = bytes.subarray(acknowledged + HEADER_BYTES);
      return Buffer.concat([bytes.subarray(0, acknowledged), rest]);
    },
  };
}

/** RFC 9113 section 6.2: padding and priority stand around the block; one that goes on in other frames is left alone. */
function mendHeaders(payload: Buffer, flags: number): void {
  if ((flags & END_HEADERS) === 0) return;
  const padding = (flags & PADDED) === 0 ? 0 : (payload[0] ?? 0);
  const start = ((flags & PADDED) === 0 ? 0 : 1) + ((flags & PRIORITY) === 0 ? 0 : 5);
  if (start + padding > payload.length) return;
  mendBlock(payload.subarray(start, payload.length - padding));
}

/**
 * Replaces what no authority holds by `-`, byte for byte, so that neither the frame nor the sender's table changes its
 * size (RFC 7541 section 4.1). Huffman-coded values are left alone.
 */
function mendBlock(block: Buffer): void {
  let at = 0;
  while (at < block.length) {
    const first = block[at] ?? 0;
    const isIndexed = (first & 0x80) !== 0;
    const isResize = !isIndexed && (first & 0xe0) === 0x20;
    const prefix = isIndexed ? 7 : isResize ? 5 : (first & 0x40) !== 0 ? 6 : 4;
    const name = integer(block, at, prefix);
    if (name === undefined) return;
    at = name.next;
    if (isIndexed || isResize) continue;
    if (name.value === 0) {
      const literal = text(block, at);
      if (literal === undefined) return;
      at = literal.next;
    }
    const value = text(block, at);
    if (value === undefined) return;
    // Index 1 of the static table: `:authority`.
    if (name.value === 1 && !value.isHuffman)
      mendAuthority(block.subarray(value.start, value.next));
    at = value.next;
  }
}

function mendAuthority(value: Buffer): void {
  for (const [i, byte] of value.entries()) {
    if (!AUTHORITY.test(String.fromCharCode(byte))) value[i] = 0x2d;
  }
}

/** RFC 7541 section 5.1; undefined where it is cut off or absurd. */
function integer(
  block: Buffer,
  at: number,
  prefixBits: number,
): { readonly value: number; readonly next: number } | undefined {
  const most = 2 ** prefixBits - 1;
  let value = (block[at] ?? 0) & most;
  if (value < most) return { value, next: at + 1 };
  for (let i = 1; i <= 4; i++) {
    const byte = block[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * (i - 1));
    if ((byte & 0x80) === 0) return { value, next: at + i + 1 };
  }
  return undefined;
}

/** RFC 7541 section 5.2. */
function text(
  block: Buffer,
  at: number,
): { readonly start: number; readonly next: number; readonly isHuffman: boolean } | undefined {
  const length = at < block.length ? integer(block, at, 7) : undefined;
  if (length === undefined) return undefined;
  const next = length.next + length.value;
  if (next > block.length) return undefined;
  return { start: length.next, next, isHuffman: ((block[at] ?? 0) & 0x80) !== 0 };
}
