import { parseIp } from './cidr.ts';

/**
 * The address that a request first came from, by the lines of its `x-forwarded-for`: the last entry
 * but `trustedHops`, each of which was added by a proxy that is trusted; `peer` where the header
 * does not reach that far or holds no address there, as Envoy has it.
 * SECURITY: entries before that one are whatever the caller wrote.
 */
export function originalAddress(
  lines: readonly string[],
  trustedHops: number,
  peer: string,
): string {
  let left = trustedHops;
  for (let line = lines.length - 1; line >= 0; line--) {
    const text = lines[line] ?? '';
    let end = text.length;
    while (end >= 0) {
      const comma = end === 0 ? -1 : text.lastIndexOf(',', end - 1);
      if (left === 0) return addressIn(text.slice(comma + 1, end)) ?? peer;
      left--;
      end = comma;
    }
  }
  return peer;
}

function addressIn(entry: string): string | undefined {
  const text = entry.trim();
  return parseIp(text) === undefined ? undefined : text;
}
