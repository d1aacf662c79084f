import { createHmac } from 'node:crypto';
import { type PathTemplate, type RedactOptions, redactPath, redactText } from '#lib';
import type { RecordedCall } from './access-record.ts';

/** What is taken out of records besides what is recognized by itself. */
export type RedactionRules = {
  readonly paths: readonly PathTemplate[];
  /** Kinds that leave a keyed hash behind. */
  readonly hashed: readonly string[];
};

/** Takes secrets and personal data out of calls before they become records. */
export type Redactor = {
  /** Changes the call's texts and notes which ones. */
  readonly redact: (call: RecordedCall) => void;
  /** A change counts at once. */
  rules: RedactionRules;
};

const NO_RULES: RedactionRules = { paths: [], hashed: [] };
// Enough to join by, too little to find out a secret of any length from.
const HASH_CHARS = 12;
// More than a record shows, so that no secret is cut in half before it is recognized.
const MAX_CHARS = 8192;
const PATH = ['path'] as const;
const HOST = ['host'] as const;
const BOTH = ['host', 'path'] as const;

/** Creates a redactor; `key` makes the hashes of one source comparable, and of no use to anybody without it. */
export function createRedactor(key: Buffer, rules: RedactionRules = NO_RULES): Redactor {
  const redactor = { rules, redact };
  const options: RedactOptions = { hash };
  function hash(kind: string, secret: string): string | undefined {
    if (!redactor.rules.hashed.includes(kind)) return undefined;
    const mac = createHmac('sha256', key).update(`${kind}\0${secret}`);
    return mac.digest('base64url').slice(0, HASH_CHARS);
  }
  function redact(call: RecordedCall): void {
    const path =
      call.path === null ? null : redactPath(cut(call.path), redactor.rules.paths, options);
    const host = call.host === null ? null : redactHost(call.host, options);
    const isPathChanged = path !== call.path;
    if (isPathChanged || host !== call.host) {
      call.redacted = isPathChanged ? (host === call.host ? PATH : BOTH) : HOST;
      call.path = path;
      call.host = host;
    }
    if (call.headers !== undefined) redactHeaders(call, options);
  }
  return redactor;
}

// A name and a port are nothing; only what does not belong into a host can be a secret.
function redactHost(host: string, options: RedactOptions): string {
  return host.includes('@') ? redactText(cut(host), options) : host;
}

function redactHeaders(call: RecordedCall, options: RedactOptions): void {
  const redacted: string[] = [...(call.redacted ?? [])];
  call.headers = call.headers?.map(([name, value]) => {
    const kept = redactText(cut(value), { ...options, opaque: true });
    if (kept !== value) redacted.push(`headers.${name}`);
    return [name, kept] as const;
  });
  if (redacted.length > 0) call.redacted = redacted;
}

function cut(text: string): string {
  return text.length > MAX_CHARS ? text.slice(0, MAX_CHARS) : text;
}
