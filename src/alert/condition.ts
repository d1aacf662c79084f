import type { AlertName, Severity } from './catalog.ts';

/** Something that holds at this moment and that a person should know. */
export type Condition = {
  readonly name: AlertName;
  /** What it is about; with the name its identity, so nothing that varies while it holds. */
  readonly labels: Readonly<Record<string, string>>;
  readonly severity: Severity;
  /** A sentence with the names and numbers of this case. */
  readonly summary: string;
  readonly evidence: readonly Evidence[];
  /** Where more is known than the catalog says. */
  readonly likelyCause?: string;
  /** Safe to run as it is: it looks, and changes nothing. */
  readonly command: string;
  /** The commit that lets it be expected; while that is fresh nobody is paged. */
  readonly expectedBy?: string;
};

/** What proves it; `link` is a path of the console, or null. */
export type Evidence = { readonly text: string; readonly link: string | null };

/** The fingerprint of an alert: its name and labels. */
export function conditionId({ name, labels }: Pick<Condition, 'name' | 'labels'>): string {
  const parts = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  return [name, ...parts].join(';');
}

/**
 * A word for a shell. SECURITY: names come from hosts and callers, and the command is made to be pasted: whatever is
 * not plain is quoted, and no control character gets through.
 */
export function shellWord(word: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  const clean = word.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
  if (/^[A-Za-z0-9_][\w./:@=+-]*$/.test(clean)) return clean;
  return `'${clean.replaceAll("'", `'\\''`)}'`;
}

/** `3 calls`, `1 call`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
