import { type Cidr, parseIp } from '#lib';
import type { NumberList } from './number-list.ts';

/**
 * A source address ready for lookups: `v4` is the address as an unsigned number, or -1 and the
 * bytes are in `v6`.
 */
export type Address = { v4: number; v6: Uint8Array | undefined };

/** Finds the numbers of all blocks that hold an address: one hash lookup a distinct prefix length. */
export type AddressIndex = {
  readonly at: (block: Cidr, create: () => number) => number;
  readonly collect: (address: Address, out: NumberList) => void;
};

/** No address yet. */
export function createAddress(): Address {
  return { v4: -1, v6: undefined };
}

/** Reads `text` into `into` without allocating for IPv4; throws if it is no address. */
export function readAddress(text: string, into: Address): void {
  into.v4 = readV4(text);
  into.v6 = undefined;
  if (into.v4 >= 0) return;
  const bytes = parseIp(text);
  if (bytes === undefined) throw new Error('the source address is not an IP address');
  if (bytes.length === 4) into.v4 = asNumber(bytes);
  else into.v6 = bytes;
}

/** An empty index. */
export function createAddressIndex(): AddressIndex {
  const v4: Level<number>[] = [];
  const v6: Level<string>[] = [];
  return {
    at({ bytes, bits }, create) {
      return bytes.length === 4
        ? valueAt(levelAt(v4, bits), masked(asNumber(bytes), bits), create)
        : valueAt(levelAt(v6, bits), maskedKey(bytes, bits), create);
    },
    collect(address, out) {
      if (address.v6 === undefined) {
        for (const level of v4) push(level.values.get(masked(address.v4, level.bits)), out);
        return;
      }
      for (const level of v6) push(level.values.get(maskedKey(address.v6, level.bits)), out);
    },
  };
}

type Level<K> = { readonly bits: number; readonly values: Map<K, number> };

function levelAt<K>(levels: Level<K>[], bits: number): Map<K, number> {
  const found = levels.find((level) => level.bits === bits);
  if (found !== undefined) return found.values;
  const values = new Map<K, number>();
  levels.push({ bits, values });
  return values;
}

function valueAt<K>(values: Map<K, number>, key: K, create: () => number): number {
  const found = values.get(key);
  if (found !== undefined) return found;
  const created = create();
  values.set(key, created);
  return created;
}

function push(value: number | undefined, out: NumberList): void {
  if (value !== undefined) out.push(value);
}

function masked(address: number, bits: number): number {
  // A shift by 32 is one by 0 in JavaScript, so the empty prefix needs its own case.
  return bits === 0 ? 0 : (address & (0xffffffff << (32 - bits))) >>> 0;
}

function maskedKey(bytes: Uint8Array, bits: number): string {
  const whole = bits >> 3;
  let key = '';
  for (let i = 0; i < whole; i++) key += String.fromCharCode(bytes[i] ?? 0);
  const rest = bits & 7;
  return rest === 0 ? key : key + String.fromCharCode((bytes[whole] ?? 0) & (0xff00 >> rest));
}

function asNumber(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** Dotted decimal as `net.isIP` accepts it, without leading zeros; -1 for anything else. */
function readV4(text: string): number {
  let address = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0 || ++dots > 3) return -1;
      address = address * 256 + octet;
      octet = -1;
      continue;
    }
    if (code < ZERO || code > NINE || octet === 0) return -1;
    octet = (octet < 0 ? 0 : octet * 10) + (code - ZERO);
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : -1;
}

const DOT = 46;
const ZERO = 48;
const NINE = 57;
