// How a text reads to whoever decodes it, and back. A slash stays escaped, since a path falls into other segments by it.
const ESCAPES = /(?:%(?!2f)[0-9a-f]{2})+/gi;
const ESCAPE = /%[0-9a-f]{2}/i;
// Digits of other scripts that people type numbers with: Arabic, Persian; those of full width go by NFKC.
const FOREIGN_DIGITS = /[\u0660-\u0669\u06f0-\u06f9]/g;
const NOT_ASCII = /[\u0080-\uffff]/;

// A text that was escaped twice, and once more.
const MAX_ROUNDS = 3;

/** The text without percent escapes (RFC 3986 section 2.1), and with ASCII's digits and letters for their other forms. */
export function plainForm(text: string): string {
  let plain = text;
  for (let round = 0; round < MAX_ROUNDS && ESCAPE.test(plain); round++) {
    const decoded = plain.replace(ESCAPES, decode);
    if (decoded === plain) break;
    plain = decoded;
  }
  if (!NOT_ASCII.test(plain)) return plain;
  return plain
    .normalize('NFKC')
    .replace(FOREIGN_DIGITS, (digit) => String(digit.charCodeAt(0) & 0xf));
}

/** A plain form with its control characters, and what is not ASCII, escaped; also spaces, where `before` had none. */
export function escapedAsBefore(plain: string, before: string): string {
  const escaped = before.includes(' ') ? TO_ESCAPE : TO_ESCAPE_AND_SPACE;
  return plain.toWellFormed().replace(escaped, (characters) => encodeURIComponent(characters));
}

const TO_ESCAPE = /[^ -~]+|%(?!2f)/gi;
const TO_ESCAPE_AND_SPACE = /[^!-~]+|%(?!2f)/gi;

// SECURITY: bytes that are not UTF-8 become U+FFFD, and do not hide those beside them.
function decode(escapes: string): string {
  return Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8');
}
