const CRLF: Buffer = Buffer.from('\r\n');
const LAST_CHUNK: Buffer = Buffer.from('0\r\n\r\n');
const NOTHING: Buffer = Buffer.alloc(0);

/** Body bytes as a chunk (RFC 9112 section 7.1), with the last chunk behind it where they end the body. */
export function encodeChunk(data: Uint8Array, isEnd: boolean): Buffer {
  if (data.length === 0) return isEnd ? LAST_CHUNK : NOTHING;
  const size = Buffer.from(`${data.length.toString(16)}\r\n`);
  return Buffer.concat(isEnd ? [size, data, CRLF, LAST_CHUNK] : [size, data, CRLF]);
}

/**
 * The last chunk with trailers (RFC 9112 section 7.1.2): name, value, name, value …
 * INVARIANT: they have been read as trailers, so none of them frames or routes a message, and none has a line end.
 */
export function encodeLastChunk(trailers: readonly string[]): Buffer {
  let text = '0\r\n';
  for (let at = 0; at < trailers.length; at += 2)
    text += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, 'latin1');
}
