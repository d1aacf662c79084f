/**
 * The period of the mesh's redaction key that an instant (Unix milliseconds) belongs to: its day in UTC, `2026-01-31`.
 * A key of a day joins a day's records, and whoever steals one can invert no more than that.
 */
export function redactionPeriod(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** Whether `text` can name a period. */
export function isRedactionPeriod(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text);
}

/** How many bytes a key has. */
export const REDACTION_KEY_BYTES = 32;
