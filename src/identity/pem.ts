/** The DER of every block of `pem` with this label, in order; other text is passed over. */
export function pemToDer(pem: string, label = 'CERTIFICATE'): readonly Uint8Array[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Uint8Array[] = [];
  // A search by index is linear whatever the text holds; a regular expression need not be.
  for (let at = pem.indexOf(begin); at >= 0; at = pem.indexOf(begin, at)) {
    const stop = pem.indexOf(end, at);
    if (stop < 0) break;
    blocks.push(Buffer.from(pem.slice(at + begin.length, stop), 'base64'));
    at = stop + end.length;
  }
  return blocks;
}

/** One PEM block (RFC 7468), lines of 64 characters, ending in a line feed. */
export function derToPem(der: Uint8Array, label = 'CERTIFICATE'): string {
  const text = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = text.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
