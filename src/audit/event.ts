import { hash } from 'node:crypto';
import { redactText } from './redact.ts';

/** What happened, as it goes into an audit log; whatever is not known is left out. */
export type AuditFields = {
  /** Verb of the thing, e.g. `policy.commit`, `identity.revoke`, `admin.sign_in`, `process.start`. */
  readonly action: string;
  /** Name of an admin, `console`, or the SPIFFE ID of a process. */
  readonly 'actor.id': string;
  /** Address the request came from. */
  readonly 'actor.ip'?: string;
  readonly 'target.kind'?: string;
  readonly 'target.name'?: string;
  readonly 'target.namespace'?: string;
  readonly result: 'ok' | 'refused';
  /** Why it was refused, or what the actor gave as a reason. */
  readonly reason?: string;
  /** What changed: unified text, secrets replaced. */
  readonly diff?: string;
};

/** A record of an audit log. */
export type AuditEvent = AuditFields & {
  /** ISO 8601, UTC, milliseconds; the clock of the process that logged it. */
  readonly time: string;
  /** From 0, without gaps: the position of its leaf in the tree. */
  readonly index: number;
  /** The record before; 64 zeros for the first. Lower-case hex, as `hash`. */
  readonly previous_hash: string;
  readonly hash: string;
};

/** What the first record has for the hash of the one before. */
export const FIRST_PREVIOUS = '0'.repeat(64);

const MEMBERS = [
  'action',
  'actor.id',
  'actor.ip',
  'target.kind',
  'target.name',
  'target.namespace',
  'result',
  'reason',
  'diff',
] as const;

// SECURITY: some of it is text of whoever asked; a request must not fill the disk.
const MAX_TEXT = 1_024;
const MAX_DIFF = 32 * 1_024;
const CUT = '… [cut]';

// INVARIANT: each line ends with these 67 bytes: the hash, a quote, a brace, a line feed. What a hash is over are the
// bytes of the file from the hash before to its own, so that checking reads a file once and copies nothing.
const HASH_MEMBER = ',"hash":"';
const LINE_END = '"}\n';

/** How many bytes from the start of the hash to the end of its line. */
export const TAIL_BYTES = 64 + LINE_END.length;

/** The JSON text of a record up to where its hash begins. */
export function bodyOf(index: number, time: string, fields: AuditFields): string {
  const record: Record<string, unknown> = { index, time };
  for (const name of MEMBERS) {
    const given = fields[name];
    if (given === undefined || given === '') continue;
    // SECURITY: what people give as a reason may hold what they had in their clipboard, and is kept for years. (A `diff`
    // comes redacted, by its members.)
    const value = name === 'reason' ? redactText(given) : given;
    const most = name === 'diff' ? MAX_DIFF : MAX_TEXT;
    record[name] = value.length > most ? value.slice(0, most) + CUT : value;
  }
  return JSON.stringify(record).slice(0, -1) + HASH_MEMBER;
}

/**
 * The hash of a record, which is its leaf in the tree: SHA-256 of a zero byte (RFC 6962 section 2.1), the hash before, the
 * end of that line, and the record's text up to its own hash.
 */
export function hashOfBody(previous: string, body: string): string {
  return hash('sha256', `\0${previous}${LINE_END}${body}`, 'hex');
}

/** The line of a record, line feed included. */
export function lineOf(body: string, digest: string): string {
  return body + digest + LINE_END;
}

/** The event in a line that was checked; throws where it is no JSON. */
export function eventOfLine(line: string, previous: string): AuditEvent {
  const { hash: digest, ...rest } = JSON.parse(line) as AuditEvent;
  return { ...rest, previous_hash: previous, hash: digest };
}

/** The text that an event's hash is over, made again from the event; the same for whoever has all its members. */
export function bodyOfEvent(event: AuditEvent): string {
  const record: Record<string, unknown> = { index: event.index, time: event.time };
  for (const name of MEMBERS) if (event[name] !== undefined) record[name] = event[name];
  return JSON.stringify(record).slice(0, -1) + HASH_MEMBER;
}
