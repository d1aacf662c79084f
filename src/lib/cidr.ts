import { isIP } from 'node:net';
import { fail, ok, type Result } from './result.ts';

/** An IP block as bytes: the first `bits` of `bytes` (4 or 16 of them) are the network. */
export type Cidr = { readonly bytes: Uint8Array; readonly bits: number };

/** Parses `10.0.0.0/8`, `10.1.2.3`, `fd00::/8`; host bits must not stray past the prefix's family. */
export function parseCidr(text: string): Result<Cidr, string> {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const bytes = parseIp(address);
  if (bytes === undefined)
    return fail(`\`${text.slice(0, 60)}\` is not an IP address or CIDR block`);
  const most = bytes.length * 8;
  if (slash < 0) return ok({ bytes, bits: most });
  const bits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > most) {
    return fail(`\`${text.slice(0, 60)}\` has no prefix length between 0 and ${most}`);
  }
  return ok({ bytes, bits: Number(bits) });
}

/** The bytes of an address: 4 for IPv4 and for IPv4-mapped IPv6, 16 for other IPv6; undefined if neither. */
export function parseIp(text: string): Uint8Array | undefined {
  const family = isIP(text);
  if (family === 4) return Uint8Array.from(text.split('.').map(Number));
  if (family !== 6 || text.includes('%')) return undefined;
  const bytes = ipv6Bytes(text);
  const mapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return mapped ? bytes.subarray(12) : bytes;
}

/** Whether `ip` (from `parseIp`) lies in the block; blocks never match the other family. */
export function cidrContains(block: Cidr, ip: Uint8Array): boolean {
  if (ip.length !== block.bytes.length) return false;
  const whole = block.bits >> 3;
  for (let i = 0; i < whole; i++) if (ip[i] !== block.bytes[i]) return false;
  const rest = block.bits & 7;
  if (rest === 0) return true;
  const mask = 0xff00 >> rest;
  return ((ip[whole] ?? 0) & mask) === ((block.bytes[whole] ?? 0) & mask);
}

function ipv6Bytes(text: string): Uint8Array {
  const lastColon = text.lastIndexOf(':');
  const tail = text.slice(lastColon + 1);
  const groupsText = tail.includes('.')
    ? `${text.slice(0, lastColon + 1)}${ipv4AsGroups(tail)}`
    : text;
  const [head = '', rest] = groupsText.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = rest === undefined || rest === '' ? [] : rest.split(':');
  const zeros = Array.from(
    { length: rest === undefined ? 0 : 8 - left.length - right.length },
    () => '0',
  );
  const groups = [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

function ipv4AsGroups(text: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
