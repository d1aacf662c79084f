import type { AuditEvent } from './event.ts';
import { eventOf, linesOf, segmentBytes } from './read-events.ts';
import { SEGMENT_RECORDS } from './segment.ts';

/** What to look for; times in Unix milliseconds, texts without regard to case. */
export type AuditQuery = {
  /** Equal, or the part before the dot: `policy` finds `policy.commit`. */
  readonly action?: string | undefined;
  /** Part of the actor's name or address. */
  readonly actor?: string | undefined;
  /** Part of `kind/name`, or of the namespace. */
  readonly target?: string | undefined;
  readonly result?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Anywhere in the record. */
  readonly text?: string | undefined;
};

/** Where in a log to look: newest first, below index `before`. */
export type SearchRange = { readonly before: number; readonly limit: number };

/** What was found, newest first, and below which index to look next; undefined: all was looked at. */
export type SearchResult = {
  readonly events: readonly AuditEvent[];
  readonly next: number | undefined;
};

// A query that finds nothing reads this much and then says where to go on, rather than hold others up.
const MAX_SEGMENTS = 40;

/** Searches a folder's records backwards. */
export async function searchEvents(
  folder: string,
  query: AuditQuery,
  { before, limit }: SearchRange,
): Promise<SearchResult> {
  const events: AuditEvent[] = [];
  let end = before;
  for (let read = 0; end > 0 && read < MAX_SEGMENTS; read++) {
    const first = end - 1 - ((end - 1) % SEGMENT_RECORDS);
    const bytes = await segmentBytes(folder, first);
    const found = [...matching(bytes, query)].filter(({ index }) => index < end).toReversed();
    const taken = found.slice(0, limit - events.length);
    events.push(...taken);
    if (taken.length < found.length || events.length === limit) {
      return { events, next: events.at(-1)?.index };
    }
    end = isAllBefore(bytes, query.since) ? 0 : first;
  }
  return { events, next: end > 0 ? end : undefined };
}

/** Whether an event is one that a query asks for. */
export function matches(event: AuditEvent, query: AuditQuery): boolean {
  const { action, actor, target, result, since, until, text } = query;
  const at = Date.parse(event.time);
  if (since !== undefined && at < since) return false;
  if (until !== undefined && at >= until) return false;
  if (result !== undefined && event.result !== result) return false;
  if (action !== undefined && event.action !== action && !event.action.startsWith(`${action}.`)) {
    return false;
  }
  if (!has(actor, event['actor.id'], event['actor.ip'])) return false;
  const name = `${event['target.kind'] ?? ''}/${event['target.name'] ?? ''}`;
  if (!has(target, name, event['target.namespace'])) return false;
  return has(text, JSON.stringify(event));
}

function* matching(bytes: Buffer, query: AuditQuery): Generator<AuditEvent> {
  for (const line of linesOf(bytes, 0)) {
    const event = eventOf(line);
    if (event !== undefined && matches(event, query)) yield event;
  }
}

// Clocks step back and forth, so the newest record has to be older by a good deal.
const CLOCK_STEP_MS = 24 * 3_600_000;

function isAllBefore(bytes: Buffer, since: number | undefined): boolean {
  if (since === undefined || bytes.length === 0) return false;
  const start = bytes.lastIndexOf(10, bytes.length - 2) + 1;
  const event = eventOf({ text: bytes.toString('utf8', start), previous: '' });
  return event !== undefined && Date.parse(event.time) < since - CLOCK_STEP_MS;
}

function has(part: string | undefined, ...texts: readonly (string | undefined)[]): boolean {
  if (part === undefined) return true;
  const wanted = part.toLowerCase();
  return texts.some((text) => text?.toLowerCase().includes(wanted) === true);
}
