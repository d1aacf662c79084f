import { parseDuration, redactText as redactLine } from '#lib';

// Secrets have no business in an audit log, which is kept for years and read by many. SECURITY: this is the last line of
// defence; what may hold a secret by its place is replaced whole, what looks like one wherever it stands.

/** Names whose values are secrets wherever they stand. */
const SECRET_NAME =
  /(passw(or)?d|passphrase|secret|token|api[-_]?key|private[-_]?key|authorization|cookie|credential|session|signature)/i;

/** Members that are named like secrets and are none. */
const HARMLESS = new Set([
  'reauthorization',
  'fromHeaders',
  'fromParams',
  'forwardOriginalToken',
  'outputPayloadToHeader',
  'tokenIssuer',
]);

/** Goes over lines, and to the end where its own is cut off. */
const PRIVATE_KEY =
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g;

/** Text without what looks like a secret in it: private keys wherever they end, all else line by line as in records. */
export function redactText(text: string): string {
  return text
    .replace(PRIVATE_KEY, '[redacted:key]')
    .split('\n')
    .map((line) => redactLine(line))
    .join('\n');
}

/**
 * A value without the secrets in it: members named like secrets, the values that a condition compares headers with, and
 * whatever looks like a secret anywhere.
 */
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) return value.map(redactValue);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [
    name,
    isSecret(name, member) ? redactLeaves(member) : redactValue(member),
  ]);
  const redacted = Object.fromEntries(members) as Record<string, unknown>;
  // A rule that lets in who shows a certain header holds what they show.
  if (typeof redacted['key'] === 'string' && redacted['key'].startsWith('request.headers[')) {
    for (const name of ['values', 'notValues']) {
      if (redacted[name] !== undefined) redacted[name] = redactLeaves(redacted[name]);
    }
  }
  return redacted;
}

function isSecret(name: string, member: unknown): boolean {
  if (!SECRET_NAME.test(name) || HARMLESS.has(name)) return false;
  // A Service's `timeouts.session`.
  return !(name === 'session' && typeof member === 'string' && parseDuration(member).ok);
}

function redactLeaves(value: unknown): unknown {
  if (typeof value === 'string') return '[redacted:secret]';
  if (Array.isArray(value)) return value.map(redactLeaves);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, redactLeaves(member)]),
  );
}
