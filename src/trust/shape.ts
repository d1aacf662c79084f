// Small questions about values that came from somebody else; none of them throws.

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether `value` is an object whose members are exactly `required`, and of `optional` any. */
export function hasExactly(
  value: unknown,
  required: readonly string[],
  optional: readonly string[] = [],
): value is Readonly<Record<string, unknown>> {
  if (!isRecord(value)) return false;
  const keys = Object.keys(value);
  return (
    required.every((key) => Object.hasOwn(value, key)) &&
    keys.every((key) => required.includes(key) || optional.includes(key))
  );
}

/** Whether `value` is text of 1 to `maxLength` characters. */
export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= maxLength;
}

/** Whether `value` is a whole number from `least` to what a double holds exactly. */
export function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

/** Whether `value` is a SHA-256 digest in lower-case hex. */
export function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** Whether `value` is an instant in the one spelling we write: `2026-01-31T12:00:00.000Z`. */
export function isInstant(value: unknown): value is string {
  if (typeof value !== 'string' || value.length !== 24) return false;
  const ms = Date.parse(value);
  return Number.isFinite(ms) && new Date(ms).toISOString() === value;
}

/** Whether `value` is a namespace's name (a DNS label, as Kubernetes has it). */
export function isNamespace(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value);
}

/** The bytes of standard base64 in its one canonical spelling; undefined for anything else. */
export function decodeBase64(value: unknown, maxBytes: number): Buffer | undefined {
  if (typeof value !== 'string' || value.length > Math.ceil(maxBytes / 3) * 4) return undefined;
  const bytes = Buffer.from(value, 'base64');
  // Buffer skips what it does not know; only the canonical spelling survives the way back.
  return bytes.toString('base64') === value ? bytes : undefined;
}
