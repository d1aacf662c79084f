import { RECORD_FIELDS } from '#lib';

/** A list as PostgreSQL reads it, which is sooner written than a value for each number. */
export function listOf(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`;
}

/**
 * A record's fields as `jsonb` takes them. SECURITY: it refuses NUL and halves of surrogate pairs, which JSON may hold; a
 * sidecar that sends one would stop all that is written with it. They become U+FFFD.
 */
export function storable(fields: Readonly<Record<string, unknown>>): {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly json: string;
} {
  const json = JSON.stringify(fields);
  if (!UNSTORABLE.test(json)) return { fields, json };
  const clean = cleaned(fields) as Readonly<Record<string, unknown>>;
  return { fields: clean, json: JSON.stringify(clean) };
}

// `JSON.stringify` escapes both; it may be an escaped backslash that is matched, which costs a second look.
const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\ufffd');
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([name, one]) => [cleaned(name), cleaned(one)]));
}

/** In the order in which sidecars write them, which `jsonb` does not keep; fields of later versions follow. */
export function inOrder(
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const ordered: Record<string, unknown> = {};
  for (const name of RECORD_FIELDS) if (name in fields) ordered[name] = fields[name];
  return Object.assign(ordered, fields);
}
