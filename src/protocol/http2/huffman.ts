// RFC 7541 appendix B. The code is canonical, so the lengths are the whole table: one digit in base
// 36 a symbol, 0 to 255 in order.
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq';
const INVALID = 0;
/** Bits of the code of each symbol. */
const BITS: Uint8Array = Uint8Array.from(LENGTHS, (digit) => Number.parseInt(digit, 36));
const CODES: Uint32Array = canonicalCodes();
const NODES: Int32Array = decodingNodes();

/** Bytes that `text` takes when Huffman coded; each character is a byte. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += BITS[text.charCodeAt(at) & 0xff] as number;
  return (bits + 7) >>> 3;
}

/** Writes `text` Huffman coded at `at` of `out`, which has the room; returns where it ends. */
export function encodeHuffman(text: string, out: Buffer, at: number): number {
  let held = 0;
  let heldBits = 0;
  let end = at;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let bits = BITS[symbol] as number;
    const code = CODES[symbol] as number;
    // Up to 7 bits are held, and codes have up to 30: taken in two parts they fit into 32.
    if (bits > 16) {
      bits -= 16;
      held = (held << bits) | (code >>> 16);
      heldBits += bits;
      while (heldBits >= 8) {
        heldBits -= 8;
        out[end++] = (held >>> heldBits) & 0xff;
      }
      bits = 16;
    }
    held = (held << bits) | (code & ((1 << bits) - 1));
    heldBits += bits;
    while (heldBits >= 8) {
      heldBits -= 8;
      out[end++] = (held >>> heldBits) & 0xff;
    }
  }
  // RFC 7541 section 5.2: filled up with the first bits of EOS, which are ones.
  if (heldBits > 0) out[end++] = ((held << (8 - heldBits)) | (0xff >>> heldBits)) & 0xff;
  return end;
}

let scratch: Buffer = Buffer.allocUnsafeSlow(1024);

/**
 * Decodes `bytes[start, end)`; undefined if it is no Huffman coding: EOS inside, padding of more
 * than 7 bits or of others than ones (RFC 7541 section 5.2).
 */
export function decodeHuffman(bytes: Buffer, start: number, end: number): string | undefined {
  // The shortest code has 5 bits.
  const most = ((end - start) * 8) / 5;
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(Math.ceil(most / 1024) * 1024);
  let length = 0;
  let held = 0;
  let heldBits = 0;
  let node = 0;
  // Bits since the last symbol: what remains of them at the end is padding.
  let since = 0;
  for (let at = start; at < end; at++) {
    held = ((held << 8) | (bytes[at] as number)) & 0xffff;
    heldBits += 8;
    since += 8;
    while (heldBits >= 8) {
      const entry = NODES[node + ((held >>> (heldBits - 8)) & 0xff)] as number;
      if (entry === INVALID) return undefined;
      if (entry < 0) {
        node = -entry;
        heldBits -= 8;
      } else {
        scratch[length++] = entry & 0xff;
        heldBits -= entry >>> 8;
        since = heldBits;
        node = 0;
      }
    }
  }
  // The last bits may hold one more symbol that is shorter than 8 bits.
  while (heldBits > 0) {
    const entry = NODES[node + ((held << (8 - heldBits)) & 0xff)] as number;
    if (entry <= 0 || entry >>> 8 > heldBits) break;
    scratch[length++] = entry & 0xff;
    heldBits -= entry >>> 8;
    since = heldBits;
    node = 0;
  }
  const padding = (1 << since) - 1;
  if (since > 7 || (held & padding) !== padding) return undefined;
  return scratch.toString('latin1', 0, length);
}

function canonicalCodes(): Uint32Array {
  const order = [...BITS.keys()].sort((a, b) => (BITS[a] as number) - (BITS[b] as number) || a - b);
  const codes = new Uint32Array(256);
  let code = 0;
  let bits = 0;
  for (const symbol of order) {
    code *= 2 ** ((BITS[symbol] as number) - bits);
    bits = BITS[symbol] as number;
    codes[symbol] = code++;
  }
  return codes;
}

// Nodes of 256 entries, by the next 8 bits: `bits << 8 | symbol` for a symbol that ends within
// them, a node's negated index where the code goes on, `INVALID` where no code does (EOS).
function decodingNodes(): Int32Array {
  const nodes: number[] = Array.from({ length: 256 }, () => INVALID);
  for (let symbol = 0; symbol < 256; symbol++) {
    let bits = BITS[symbol] as number;
    const code = CODES[symbol] as number;
    let node = 0;
    while (bits > 8) {
      bits -= 8;
      const slot = node + ((code >>> bits) & 0xff);
      if (nodes[slot] === INVALID) {
        nodes[slot] = -nodes.length;
        for (let i = 0; i < 256; i++) nodes.push(INVALID);
      }
      node = -(nodes[slot] as number);
    }
    const first = node + ((code << (8 - bits)) & 0xff);
    for (let i = 0; i < 1 << (8 - bits); i++) nodes[first + i] = (bits << 8) | symbol;
  }
  return Int32Array.from(nodes);
}
