/** A byte of a token (RFC 9110 section 5.6.2). */
export const TOKEN = 1;
/** A byte of a field value: HTAB, SP, VCHAR or obs-text (RFC 9110 section 5.5). */
export const VALUE = 2;
/** A byte that stands for itself in a canonical path and starts no dot segment. */
export const PLAIN_PATH = 4;
/** A byte that may stand in a request target at all: visible ASCII but `#`. */
export const TARGET = 8;
/** A byte of a method: upper case, since `get` is GET to some servers and not to others. */
export const METHOD = 16;
/** A byte of a host name in `Host`. */
export const HOST_NAME = 32;

/** A byte of a token but `_`. */
export const PLAIN_NAME = 64;
/** A byte of a field value but HTAB. */
export const PLAIN_VALUE = 128;

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;

/** Classes of each byte, as a sum of the constants above. */
export const CLASS: Uint8Array = buildClasses();

/** The value of a hexadecimal digit, or -1. */
export function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  const add = (chars: string, bit: number): void => {
    for (const char of chars) {
      const code = char.charCodeAt(0);
      classes[code] = (classes[code] ?? 0) | bit;
    }
  };
  const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const alphanumeric = `${upper}${upper.toLowerCase()}0123456789`;
  add(`${alphanumeric}!#$%&'*+-.^_\`|~`, TOKEN);
  add(`${upper}-_`, METHOD);
  add(`${alphanumeric}-._`, HOST_NAME);
  // Without `.` and `/`, which the path scanner looks at, and `%`, which needs decoding.
  add(`${alphanumeric}-_~!$&'()*+,;=:@[]`, PLAIN_PATH);
  for (let byte = 0; byte < 256; byte++) {
    let bits = classes[byte] ?? 0;
    if (byte === HTAB || (byte >= SP && byte !== 0x7f)) bits |= VALUE;
    if ((bits & VALUE) !== 0 && byte !== HTAB) bits |= PLAIN_VALUE;
    if ((bits & TOKEN) !== 0 && byte !== 0x5f) bits |= PLAIN_NAME;
    if (byte > SP && byte < 0x7f && byte !== 0x23) bits |= TARGET;
    classes[byte] = bits;
  }
  return classes;
}
