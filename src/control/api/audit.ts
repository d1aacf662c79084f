import { createRoute, z } from '@hono/zod-openapi';
import { type AuditEvent, type AuditQuery, exportPage, type LegalHold, searchEvents } from '#audit';
import { ApiProblem } from '../errors.ts';
import { auditOfIssuance, issuanceVerification } from './audit-issuance.ts';
import type { Api, ApiContext } from './context.ts';
import {
  AnyObject,
  answers,
  asObject,
  Instant,
  problemAnswers,
  timesOf,
  wholeNumber,
} from './schemas.ts';

const Filters = {
  action: z.string().max(200).optional(),
  actor: z.string().max(300).optional(),
  target: z.string().max(300).optional(),
  result: z.enum(['ok', 'refused']).optional(),
  text: z.string().max(300).optional(),
  since: z.string().max(40).optional(),
  until: z.string().max(40).optional(),
};

const Page = z
  .object({ items: z.array(AnyObject), next_cursor: z.string().nullable() })
  .openapi('AuditPage');

const Verification = z
  .object({
    logs: z.array(
      z.object({
        name: z.string(),
        size: z.int(),
        head: z.string().nullable(),
        checkpoint: z.object({ size: z.int(), root: z.string(), signed_at: z.string() }).nullable(),
        state: z.enum(['verified', 'failed', 'unverified']),
        verified_at: z.string().nullable(),
        problem: z.object({ index: z.int(), message: z.string() }).nullable(),
      }),
    ),
    witnesses: z.array(z.object({ node: z.string(), size: z.int(), root: z.string() })),
  })
  .openapi('AuditVerification');

const search = createRoute({
  method: 'get',
  path: '/audit',
  summary: 'What was done, newest first',
  request: {
    query: z.object({
      log: z.enum(['control', 'ca']).optional(),
      ...Filters,
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      cursor: z.string().max(20).optional(),
    }),
  },
  responses: answers(Page, ['unavailable']),
});

const verification = createRoute({
  method: 'get',
  path: '/audit/verification',
  summary: 'Whether the logs are what was signed, and who keeps which checkpoint',
  responses: answers(Verification),
});

const exported = createRoute({
  method: 'get',
  path: '/audit/export',
  summary: 'Records oldest first as OCSF API Activity, one a line; the last line proves them',
  request: {
    query: z.object({
      ...Filters,
      from: z.coerce.number().int().min(0).optional(),
      after: z.coerce.number().int().min(0).optional(),
      limit: z.coerce.number().int().min(1).max(8192).optional(),
    }),
  },
  responses: {
    200: {
      description: 'JSON lines',
      content: { 'application/x-ndjson': { schema: z.string() } },
    },
    ...problemAnswers(['unavailable']),
  },
});

const Hold = z
  .object({
    name: z.string(),
    reason: z.string(),
    by: z.string(),
    since: Instant,
    until: Instant.nullable(),
    created_at: Instant,
  })
  .openapi('LegalHold');

const holds = createRoute({
  method: 'get',
  path: '/audit/holds',
  summary: 'Legal holds: records that do not expire',
  responses: answers(z.object({ items: z.array(Hold), next_cursor: z.null() })),
});

const hold = createRoute({
  method: 'post',
  path: '/audit/holds',
  summary: 'Keeps records of a time from expiring, until it is released',
  request: {
    body: {
      required: true,
      content: {
        'application/json': {
          schema: z
            .object({
              name: z.string().regex(/^[A-Za-z0-9][\w.-]{0,99}$/),
              reason: z.string().min(1).max(1_000),
              since: z.string().max(40).optional(),
              until: z.string().max(40).optional(),
            })
            .openapi('NewLegalHold'),
        },
      },
    },
  },
  responses: {
    201: { description: 'held', content: { 'application/json': { schema: Hold } } },
    ...problemAnswers(['read_only', 'storage_failed']),
  },
});

const release = createRoute({
  method: 'delete',
  path: '/audit/holds/{name}',
  summary: 'Releases a legal hold',
  request: {
    params: z.object({
      name: z
        .string()
        .max(100)
        .openapi({ param: { name: 'name', in: 'path' } }),
    }),
  },
  responses: answers(Hold, ['not_found', 'read_only', 'storage_failed']),
});

const DEFAULT_LIMIT = 100;
const EXPORT_PAGE = 4_096;

/** GET /audit, /audit/verification, /audit/export and /audit/holds; POST and DELETE of holds. */
export function addAuditRoutes(api: Api, context: ApiContext): void {
  addHoldRoutes(api, context);
  const { audit, clock } = context;
  api.openapi(search, async (c) => {
    const { log = 'control', limit = DEFAULT_LIMIT, cursor, ...filters } = c.req.valid('query');
    const query = queryOf(filters, clock());
    const before = cursor === undefined ? undefined : wholeNumber(cursor, 'cursor');
    if (log === 'ca') return c.json(await auditOfIssuance(context, query, { before, limit }), 200);
    const range = { before: before ?? audit.newestIndex() + 1, limit };
    const { events, next } = await searchEvents(audit.folder, query, range);
    return c.json(pageOf(events, next), 200);
  });
  api.openapi(verification, (c) => {
    const logs = [audit.verification(), issuanceVerification(context)];
    return c.json(
      { logs: logs.map((each) => ({ ...each })), witnesses: witnessesOf(context) },
      200,
    );
  });
  api.openapi(exported, async (c) => {
    const { from = 0, after = from, limit = EXPORT_PAGE, ...filters } = c.req.valid('query');
    const query = queryOf(filters, clock());
    c.set('audit', {
      action: 'export.audit',
      target: { kind: 'AuditLog', name: 'control' },
      reason: `records from ${from}`,
    });
    await audit.sign();
    const page = await exportPage(audit, {
      from,
      after,
      limit,
      query,
      checkpoint: audit.checkpoint(),
      log: 'control',
      version: context.facts().version,
      timeMs: clock(),
    });
    if (!page.ok) throw new ApiProblem('bad_request', `\`from\`: ${page.error}`);
    return c.body(page.value, 200, { 'content-type': 'application/x-ndjson' }) as never;
  });
}

function addHoldRoutes(api: Api, { audit, clock }: ApiContext): void {
  api.openapi(holds, (c) =>
    c.json({ items: audit.holds().map(viewOfHold), next_cursor: null }, 200),
  );
  api.openapi(hold, (c) => {
    const { name, reason, since, until } = c.req.valid('json');
    c.set('audit', { action: 'audit.hold_add', target: { kind: 'LegalHold', name }, reason });
    // A hold that ends before it begins would keep nothing, and somebody would rely on it.
    const times = timesOf({ since, until }, clock());
    const made = audit.hold({
      name,
      reason,
      by: c.get('session').name,
      since: times.sinceMs ?? 0,
      until: times.untilMs,
      createdAt: clock(),
    });
    if (!made.ok) throw new ApiProblem(made.error.kind, made.error.message);
    return c.json(viewOfHold(made.value), 201);
  });
  api.openapi(release, (c) => {
    const { name } = c.req.valid('param');
    c.set('audit', { action: 'audit.hold_release', target: { kind: 'LegalHold', name } });
    const released = audit.release(name);
    if (!released.ok) throw new ApiProblem(released.error.kind, released.error.message);
    return c.json(viewOfHold(released.value), 200);
  });
}

function viewOfHold({ name, reason, by, since, until, createdAt }: LegalHold) {
  const iso = (ms: number): string => new Date(ms).toISOString();
  return {
    name,
    reason,
    by,
    since: iso(since),
    until: until === undefined ? null : iso(until),
    created_at: iso(createdAt),
  };
}

function pageOf(events: readonly AuditEvent[], next: number | undefined) {
  return {
    items: events.map(asObject),
    next_cursor: next === undefined ? null : String(next),
  };
}

function queryOf(
  { since, until, ...rest }: Partial<Record<keyof typeof Filters, string | undefined>>,
  nowMs: number,
): AuditQuery {
  const { sinceMs, untilMs } = timesOf({ since, until }, nowMs);
  return { ...rest, since: sinceMs, until: untilMs };
}

function witnessesOf({ enforcement }: ApiContext) {
  return enforcement.witnesses().map((each) => ({ ...each }));
}
