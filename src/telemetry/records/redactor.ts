import { createHmac } from 'node:crypto';
import {
  type PathTemplate,
  type RedactOptions,
  redactionPeriod,
  redactPath,
  redactText,
} from '#lib';
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
  /** The mesh's keys by day, the newest last; while none fits a call, the sidecar's own is taken. */
  meshKeys: readonly MeshKey[];
};

/** The key with which every sidecar of the mesh hashes what it takes out on one day. SECURITY: never logged. */
export type MeshKey = { readonly period: string; readonly key: Uint8Array };

/** What records say of hashes whose key no other sidecar has. */
export const OWN_KEY = 'own';

const NO_RULES: RedactionRules = { paths: [], hashed: [] };
// Enough to join by, too little to find out a secret of any length from.
const HASH_CHARS = 12;
// More than a record shows, so that no secret is cut in half before it is recognized.
const MAX_CHARS = 8192;
const PATH = ['path'] as const;
const HOST = ['host'] as const;
const BOTH = ['host', 'path'] as const;

/**
 * Creates a redactor. Hashes are of no use to anybody without their key, and equal where the text and the key are: that of
 * the mesh for the day on which the call began, else `ownKey`, whose hashes say `own.` so that nobody joins by them wrongly.
 */
export function createRedactor(ownKey: Buffer, rules: RedactionRules = NO_RULES): Redactor {
  const redactor: Redactor = { rules, redact, meshKeys: [] };
  const options: RedactOptions = { hash };
  let current: RecordedCall | undefined;
  function hash(kind: string, secret: string): string | undefined {
    if (current === undefined || !redactor.rules.hashed.includes(kind)) return undefined;
    const mesh = keyAt(redactor.meshKeys, current.startedAt);
    current.redactionKey = mesh?.period ?? OWN_KEY;
    const mac = createHmac('sha256', mesh?.key ?? ownKey).update(`${kind}\0${secret}`);
    const text = mac.digest('base64url').slice(0, HASH_CHARS);
    return mesh === undefined ? `${OWN_KEY}.${text}` : text;
  }
  function redact(call: RecordedCall): void {
    current = call;
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

/** The key of the day on which a call began; of the oldest day that is held for one that began before. */
function keyAt(keys: readonly MeshKey[], startedAt: number): MeshKey | undefined {
  const [oldest] = keys;
  if (oldest === undefined) return undefined;
  const wanted = redactionPeriod(startedAt);
  return wanted < oldest.period ? oldest : keys.find(({ period }) => period === wanted);
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
