import { fail, ok, type Result } from '#lib';
import type { ClientHello, TlsGuess } from './messages.ts';

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const MAX_RECORD_BYTES = 16_384;
/** Real clients use one or two; a record a byte would cost time. */
const MAX_RECORDS = 16;
/** Enough for post-quantum key shares; a client that sends more is refused. */
const MAX_HELLO_BYTES = 64 * 1024;
const SERVER_NAME = 0;
const ALPN = 16;

/**
 * Whether a connection begins with a TLS ClientHello (RFC 8446 section 5.1); decided after at most
 * six bytes. No HTTP method and no common protocol starts with these bytes.
 */
export function looksLikeTls(bytes: Uint8Array): TlsGuess {
  const expected = [HANDSHAKE, 3];
  for (const [at, want] of expected.entries()) {
    if (at < bytes.length && bytes[at] !== want) return 'not_tls';
  }
  if (bytes.length > 2 && (bytes[2] ?? 0) > 4) return 'not_tls';
  if (bytes.length > 5) return bytes[5] === CLIENT_HELLO ? 'tls' : 'not_tls';
  return 'more';
}

/** Why bytes are no ClientHello: `more` when they may become one. */
export type ClientHelloError = 'more' | 'not_client_hello' | 'malformed' | 'too_large';

/**
 * Reads server name and application protocols from the first bytes of a connection. Strict and
 * bounded (RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301); never throws.
 */
export function parseClientHello(bytes: Uint8Array): Result<ClientHello, ClientHelloError> {
  const message = gatherHandshake(bytes);
  if (!message.ok) return message;
  try {
    return readHello(new Cursor(message.value));
  } catch (cause) {
    if (cause instanceof OutOfBytes) return fail('malformed');
    throw cause;
  }
}

// A ClientHello may be spread over several records (RFC 8446 section 5.1).
function gatherHandshake(bytes: Uint8Array): Result<Uint8Array, ClientHelloError> {
  const parts: Uint8Array[] = [];
  let gathered = 0;
  let at = 0;
  for (let records = 0; records < MAX_RECORDS; records++) {
    const guess = looksLikeTls(parts.length === 0 ? bytes : bytes.subarray(at, at + 3));
    if (guess === 'not_tls') return fail('not_client_hello');
    if (bytes.length < at + 5) return fail('more');
    const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    if (length === 0 || length > MAX_RECORD_BYTES) return fail('malformed');
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    gathered += part.length;
    const whole = concat(parts, gathered);
    if (whole.length >= 4) {
      const need = 4 + (((whole[1] ?? 0) << 16) | ((whole[2] ?? 0) << 8) | (whole[3] ?? 0));
      if (need > MAX_HELLO_BYTES) return fail('too_large');
      if (whole.length >= need) return ok(whole.subarray(4, need));
    }
    if (part.length < length) return fail('more');
    at += 5 + length;
  }
  return fail('too_large');
}

function readHello(cursor: Cursor): Result<ClientHello, ClientHelloError> {
  cursor.skip(2 + 32);
  cursor.take(cursor.uint8());
  const suites = cursor.take(cursor.uint16());
  const compressions = cursor.take(cursor.uint8());
  if (suites.left === 0 || suites.left % 2 !== 0 || compressions.left === 0)
    return fail('malformed');
  let sni: string | undefined;
  let alpn: string[] = [];
  const seen = new Set<number>();
  const extensions = cursor.left === 0 ? cursor : cursor.take(cursor.uint16());
  while (extensions.left > 0) {
    const type = extensions.uint16();
    const body = extensions.take(extensions.uint16());
    // RFC 8446 section 4.2: no extension twice.
    if (seen.has(type)) return fail('malformed');
    seen.add(type);
    if (type === SERVER_NAME) {
      sni = readServerName(body);
      if (sni === undefined) return fail('malformed');
    } else if (type === ALPN) {
      alpn = readProtocols(body);
      if (alpn.length === 0) return fail('malformed');
    }
  }
  return cursor.left === 0 ? ok({ sni, alpn }) : fail('malformed');
}

// Exactly one host_name, as RFC 6066 section 3 demands in effect.
function readServerName(body: Cursor): string | undefined {
  const list = body.take(body.uint16());
  if (body.left !== 0 || list.uint8() !== 0) return undefined;
  const name = list.take(list.uint16());
  if (list.left !== 0) return undefined;
  const text = name.text();
  return /^[A-Za-z0-9._-]{1,253}$/.test(text) ? text.toLowerCase() : undefined;
}

function readProtocols(body: Cursor): string[] {
  const list = body.take(body.uint16());
  const protocols: string[] = [];
  while (list.left > 0) {
    const length = list.uint8();
    if (length === 0) return [];
    protocols.push(list.take(length).text());
  }
  return body.left === 0 ? protocols : [];
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length);
}

/** Thrown by `Cursor` at the end of its bytes and caught in `parseClientHello`. */
class OutOfBytes extends Error {}

/** Reads forward in bytes that end where their length field says. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  skip(count: number): void {
    if (count > this.left) throw new OutOfBytes('out of bytes');
    this.#at += count;
  }

  uint8(): number {
    this.skip(1);
    return this.#bytes[this.#at - 1] ?? 0;
  }

  uint16(): number {
    const high = this.uint8();
    return (high << 8) | this.uint8();
  }

  take(count: number): Cursor {
    this.skip(count);
    return new Cursor(this.#bytes.subarray(this.#at - count, this.#at));
  }

  text(): string {
    return Buffer.from(this.#bytes).toString('latin1');
  }
}
