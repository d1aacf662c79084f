/** What writing items down needs to know besides them. */
export type FormatAuthor = {
  /** Of this program. */
  readonly version: string;
  readonly trustDomain: string;
  /** Of this host. */
  readonly hostname: string;
};

/**
 * JSON on one line that no terminal obeys. SECURITY: `JSON.stringify` leaves C1 controls (a CSI among them), DEL and
 * the line separators as they are, and a file of lines gets looked at with `cat`.
 */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Text without control characters, for formats that have no way to write them. SECURITY: nothing of a caller begins a
 * line, a field or an escape sequence of its own.
 */
export function withoutControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');
}

/** At most `length` characters, none of them half. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  return text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '') + '…';
}

/** An object without what is absent: undefined, null, and objects and lists with nothing in them. */
export function compact(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined || member === null) continue;
    if (typeof member !== 'object' || Array.isArray(member)) {
      if (!Array.isArray(member) || member.length > 0) kept[key] = member;
      continue;
    }
    const inner = compact(member as Record<string, unknown>);
    if (Object.keys(inner).length > 0) kept[key] = inner;
  }
  return kept;
}
