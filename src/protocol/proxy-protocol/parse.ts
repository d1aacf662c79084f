import { isIPv4, isIPv6 } from 'node:net';
import { fail, ok, type Result } from '#lib';
import { crc32c } from './checksum.ts';
import type { ProxiedAddress, ProxyHeader, ProxyHeaderError } from './messages.ts';

const V1_START = Buffer.from('PROXY ');
/** The longest line that version 1 allows, with its CRLF (section 2.1). */
const V1_MAX_BYTES = 107;
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;
/** Addresses and additional fields; balancers send at most a few hundred bytes of them. */
const V2_MAX_BYTES = 2048;
const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPEC = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
const TYPE_CRC32C = 0x03;

/**
 * Reads the PROXY protocol header, version 1 or 2, with which a connection begins (HAProxy's
 * `proxy-protocol.txt`). Strict and bounded: only TCP, nothing optional in the text form, and a
 * checksum that is there must be right. Never throws.
 */
export function parseProxyHeader(bytes: Buffer): Result<ProxyHeader, ProxyHeaderError> {
  if (startsAs(bytes, V2_SIGNATURE)) return parseBinary(bytes);
  return startsAs(bytes, V1_START) ? parseText(bytes) : fail('not_proxy_header');
}

function startsAs(bytes: Buffer, start: Buffer): boolean {
  const compared = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, compared, 0, compared) === 0;
}

// SECURITY: one space between parts and no leading zeros, or two readers could see two addresses.
const V1_LINE =
  /^PROXY (?:UNKNOWN(?: [\x20-\x7e]*)?|TCP([46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))$/;

function parseText(bytes: Buffer): Result<ProxyHeader, ProxyHeaderError> {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf('\r\n');
  if (end < 0) return fail(bytes.length < V1_MAX_BYTES ? 'more' : 'proxy_header_too_large');
  const match = V1_LINE.exec(bytes.toString('latin1', 0, end));
  if (match === null) return fail('bad_proxy_header');
  const consumed = end + 2;
  const [, family, from = '', to = '', fromPort, toPort] = match;
  if (family === undefined) return ok({ version: 1, proxied: undefined, consumed });
  const isAddress = family === '4' ? isIPv4 : isIPv6;
  const source = { ip: from.toLowerCase(), port: Number(fromPort) };
  const destination = { ip: to.toLowerCase(), port: Number(toPort) };
  const isGood = [source, destination].every(({ ip, port }) => isAddress(ip) && port <= 65_535);
  if (!isGood) return fail('bad_proxy_header');
  return ok({ version: 1, proxied: { source, destination }, consumed });
}

function parseBinary(bytes: Buffer): Result<ProxyHeader, ProxyHeaderError> {
  if (bytes.length < V2_HEAD_BYTES) return fail('more');
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = bytes.readUInt16BE(14);
  if (command !== LOCAL && command !== PROXY) return fail('bad_proxy_header');
  if (length > V2_MAX_BYTES) return fail('proxy_header_too_large');
  const consumed = V2_HEAD_BYTES + length;
  if (bytes.length < consumed) return fail('more');
  const header = bytes.subarray(0, consumed);
  const width = family === TCP4 ? 4 : family === TCP6 ? 16 : 0;
  // Section 2.2: what LOCAL says of addresses is to be ignored, whatever the family.
  if (command === LOCAL || family === UNSPEC) {
    return ok({ version: 2, proxied: undefined, consumed });
  }
  if (width === 0) return fail('proxy_family_refused');
  const addressBytes = 2 * width + 4;
  if (length < addressBytes) return fail('bad_proxy_header');
  const problem = checkFields(header, V2_HEAD_BYTES + addressBytes);
  if (problem !== undefined) return fail(problem);
  const source = readAddress(header, V2_HEAD_BYTES, width, 0);
  const destination = readAddress(header, V2_HEAD_BYTES, width, 1);
  return ok({ version: 2, proxied: { source, destination }, consumed });
}

/** Address `which` (0 for the source, 1 for the destination); the ports follow both addresses. */
function readAddress(header: Buffer, at: number, width: number, which: 0 | 1): ProxiedAddress {
  const bytes = header.subarray(at + which * width, at + (which + 1) * width);
  return { ip: textOf(bytes), port: header.readUInt16BE(at + 2 * width + 2 * which) };
}

function textOf(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return groups.join(':');
}

// Section 2.2: additional fields fill the rest exactly; section 2.2.3: a checksum covers the whole
// header with its own four bytes zero.
function checkFields(header: Buffer, from: number): ProxyHeaderError | undefined {
  let at = from;
  while (at < header.length) {
    if (at + 3 > header.length) return 'bad_proxy_header';
    const type = header.readUInt8(at);
    const length = header.readUInt16BE(at + 1);
    const value = at + 3;
    if (value + length > header.length) return 'bad_proxy_header';
    if (type === TYPE_CRC32C) {
      if (length !== 4) return 'bad_proxy_header';
      const zeroed = Buffer.from(header);
      zeroed.writeUInt32BE(0, value);
      if (crc32c(zeroed) !== header.readUInt32BE(value)) return 'bad_proxy_checksum';
    }
    at = value + length;
  }
  return undefined;
}
