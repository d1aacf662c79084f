/**
 * An instant in the form of RFC 3339 with its zone: one that names none is in UTC, as records are. The zone of the machine that
 * reads it is not that of whoever wrote it. Other texts, a date alone among them, come back as they are.
 */
export function inUtc(text: string): string {
  return /T[\d:.]+$/.test(text) ? `${text}Z` : text;
}
