/** Text of the network made harmless to look at and to paste: what would not show is made visible. */

const CONTROL_PICTURES = 0x2400;
// Control characters but tab and line feed; then marks that change in which direction text reads, and separators that
// look like nothing.
const INVISIBLE =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
// The same in the text of a JSON document, where most of them are written as escapes.
const SUSPICIOUS =
  // oxlint-disable-next-line no-control-regex -- as above
  /\\u00[0189]|\\u007f|\\[bfr]|\\u(?:061c|200[bef]|202[89a-e]|206[0-9]|feff)|[\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/i;

/**
 * SECURITY: a terminal escape in a path would act when the text is pasted, and a mark of direction makes a name read as
 * another one. Control characters become their pictures (`␛`), the others their number (`⟨U+202E⟩`).
 */
export function plainText(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code);
    if (code === 0x7f) return '\u2421';
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** Reads a JSON document; every string in it is {@link plainText}. Throws where it is no JSON. */
export function parsePlainJson(text: string): unknown {
  // Reviving costs ten times as much as parsing, and almost no document needs it.
  if (!SUSPICIOUS.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === 'string' ? plainText(value) : value,
  );
}
