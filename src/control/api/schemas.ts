import { z } from '@hono/zod-openapi';
import { inUtc, parseDuration } from '#lib';
import { API_ERRORS, type ApiErrorCode, ApiProblem } from '../errors.ts';

/** An instant as every answer writes it. */
export const Instant = z
  .string()
  .openapi({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' });

/** A resource, a record or an explanation whose shape its own layer documents. */
export const AnyObject = z.looseObject({});

/** A value of such a shape for `AnyObject`, whose members its own type leaves closed. */
export function asObject(value: object): Record<string, unknown> {
  return { ...value };
}

/** What is missing of one source's records, and why as far as it is known. */
export const MissingRecord = z
  .object({
    source: z.string(),
    from: Instant,
    until: Instant,
    count: z.int(),
    why: z.string(),
  })
  .openapi('MissingRecords');

/** A DSSE envelope with a signed commit or trust root. */
export const Envelope = z
  .object({
    payloadType: z.string(),
    payload: z.string(),
    signatures: z.array(z.object({ keyid: z.string(), sig: z.string() })),
  })
  .openapi('DsseEnvelope');

/** The name of a namespace in a path. */
export const NamespacePath = z.object({
  ns: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'a namespace is a DNS label')
    .openapi({ param: { name: 'ns', in: 'path' }, example: 'default' }),
});

/** `limit` and `cursor` of a list. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  cursor: z.string().max(200).optional(),
});

/** What `read` puts out, in pages; `next` is the cursor of the following page. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

const ProblemDocument = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
  })
  .openapi('Problem');

/** The answers of a route: one good one, and the problems it may end in. */
export function answers<T extends z.ZodType>(schema: T, problems: readonly ApiErrorCode[] = []) {
  return {
    200: { description: 'done', content: { 'application/json': { schema } } },
    ...problemAnswers(problems),
  };
}

/** The problems a route may end in, for its documentation. */
export function problemAnswers(problems: readonly ApiErrorCode[]) {
  const codes = [...problems, 'bad_request', 'unauthenticated'] as const;
  const content = { 'application/problem+json': { schema: ProblemDocument } };
  return Object.fromEntries(
    codes.map((code) => [
      API_ERRORS[code].status,
      { description: API_ERRORS[code].title, content },
    ]),
  ) as Record<never, never>;
}

const DEFAULT_LIMIT = 100;

/** A page out of a whole list; the cursor is the position after the last item shown. */
export function pageFrom<T>(
  all: readonly T[],
  { limit = DEFAULT_LIMIT, cursor }: z.infer<typeof PageQuery>,
): { items: T[]; next: string | null } {
  const start = cursor === undefined ? 0 : wholeNumber(cursor, 'cursor');
  const end = start + limit;
  return { items: all.slice(start, end), next: end < all.length ? String(end) : null };
}

/** A cursor or the like; ends the request where it is none. */
export function wholeNumber(text: string, name: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ApiProblem('bad_request', `\`${name}\` is not one that an answer named`);
}

/** `5m` before `nowMs`, or an instant, as ms since 1970; ends the request where it is neither. */
export function instantOf(
  text: string | undefined,
  name: string,
  nowMs: number,
): number | undefined {
  if (text === undefined) return undefined;
  const duration = parseDuration(text);
  if (duration.ok) return nowMs - duration.value;
  const at = /^\d{4}-\d\d-\d\d(?:T|$)/.test(text) ? Date.parse(inUtc(text)) : Number.NaN;
  if (Number.isFinite(at)) return at;
  throw new ApiProblem(
    'bad_request',
    `\`${name}\` is \`${text.slice(0, 40)}\`, neither a duration such as 5m nor an instant such as 2026-01-31T12:00:00Z`,
  );
}

/**
 * What `since` and `until` mean, as ms since 1970; ends the request where one is no time, or where nothing can lie between
 * them: an empty answer would look as if nothing had happened.
 */
export function timesOf(
  { since, until }: { readonly since?: string | undefined; readonly until?: string | undefined },
  nowMs: number,
): { readonly sinceMs: number | undefined; readonly untilMs: number | undefined } {
  const sinceMs = instantOf(since, 'since', nowMs);
  const untilMs = instantOf(until, 'until', nowMs);
  if (sinceMs !== undefined && untilMs !== undefined) refuseReversed('since', sinceMs, untilMs);
  return { sinceMs, untilMs };
}

/** Ends the request where times, ms since 1970, begin after they end; `name` is what the beginning is called. */
export function refuseReversed(name: string, fromMs: number, untilMs: number): void {
  if (fromMs <= untilMs) return;
  const [from, until] = [fromMs, untilMs].map((ms) => new Date(ms).toISOString());
  throw new ApiProblem('bad_request', `\`${name}\`, ${from}, is after \`until\`, ${until}`);
}

/** `2h` after `nowMs`, or an instant, as ms since 1970; ends the request where it is neither. */
export function instantAfter(text: string, name: string, nowMs: number): number {
  const duration = parseDuration(text);
  return duration.ok ? nowMs + duration.value : (instantOf(text, name, nowMs) ?? nowMs);
}
