const INTEGER = 0x02;
const SEQUENCE = 0x30;

/** The DER of an ECDSA signature (RFC 3279 section 2.2.3) given as r and s of 32 bytes each; throws on another length. */
export function encodeEcdsa(signature: Uint8Array): Buffer {
  if (signature.length !== 64) {
    throw new Error(`the key device gave a signature of ${signature.length} bytes instead of 64`);
  }
  const body = Buffer.concat([encodePart(signature, 0), encodePart(signature, 32)]);
  return Buffer.concat([Buffer.from([SEQUENCE, body.length]), body]);
}

// The shortest two's complement: leading zeros gone, and one put before a first bit that would be a sign.
function encodePart(signature: Uint8Array, from: number): Buffer {
  let start = from;
  while (start < from + 31 && signature[start] === 0) start++;
  const digits = signature.subarray(start, from + 32);
  const sign = (digits[0] ?? 0) >= 0x80 ? [0] : [];
  return Buffer.from([INTEGER, sign.length + digits.length, ...sign, ...digits]);
}
