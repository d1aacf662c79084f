import { createRoute, z } from '@hono/zod-openapi';
import {
  type AuditEvent,
  type AuditQuery,
  type ExportProof,
  exportLine,
  FIRST_PREVIOUS,
  matches,
  proofLine,
  searchEvents,
} from '#audit';
import { ApiProblem } from '../errors.ts';
import { auditOfIssuance, issuanceVerification } from './audit-issuance.ts';
import type { Api, ApiContext } from './context.ts';
import { AnyObject, answers, asObject, instantOf, problemAnswers, wholeNumber } from './schemas.ts';

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

const DEFAULT_LIMIT = 100;
const EXPORT_PAGE = 4_096;

/** GET /audit, /audit/verification and /audit/export. */
export function addAuditRoutes(api: Api, context: ApiContext): void {
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
    const { from = 0, limit = EXPORT_PAGE, ...filters } = c.req.valid('query');
    const query = queryOf(filters, clock());
    const isPartial = Object.values(query).some((each) => each !== undefined);
    c.set('audit', {
      action: 'export.audit',
      target: { kind: 'AuditLog', name: 'control' },
      reason: `records from ${from}`,
    });
    await audit.sign();
    const page = await exportPage(context, { from, limit, query, isPartial });
    return c.body(page, 200, { 'content-type': 'application/x-ndjson' }) as never;
  });
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
  return {
    ...rest,
    since: instantOf(since, 'since', nowMs),
    until: instantOf(until, 'until', nowMs),
  };
}

async function exportPage(
  context: ApiContext,
  of: {
    readonly from: number;
    readonly limit: number;
    readonly query: AuditQuery;
    readonly isPartial: boolean;
  },
): Promise<string> {
  const { audit, clock } = context;
  const { from, limit, query, isPartial } = of;
  const about = { log: 'control', version: context.facts().version };
  const checkpoint = audit.checkpoint();
  const { size } = audit.head();
  // Records that no signature covers yet cannot be proved one by one.
  const end = isPartial ? (checkpoint?.size ?? 0) : size;
  const events = await audit.readAfter(from - 1, limit);
  const read = events.filter(({ index }) => index < end);
  // Where segments expired, the rest still is in the tree: each record by a path of its own.
  const isGapped = read.some(({ index }, i) => index !== from + i);
  const partial = isPartial || isGapped;
  const proved = (index: number): readonly string[] | undefined => {
    if (!partial || checkpoint === undefined || index >= checkpoint.size) return undefined;
    return audit.leaves.inclusion(index, checkpoint.size);
  };
  const lines = read
    .filter((event) => matches(event, query))
    .map((event) => exportLine(event, about, proved(event.index)));
  const last = read.at(-1)?.index;
  const next = last !== undefined && last + 1 < end ? last + 1 : null;
  const proof: ExportProof = {
    log: 'control',
    first: from,
    previous: from === 0 ? FIRST_PREVIOUS : previousOf(context, from),
    frontier: audit.leaves.frontier(from).hashes(),
    partial,
    checkpoint: checkpoint?.envelope ?? null,
    next,
  };
  return lines.join('') + proofLine(proof, { ...about, timeMs: clock() });
}

function previousOf({ audit }: ApiContext, from: number): string {
  if (from > audit.newestIndex() + 1) {
    throw new ApiProblem('bad_request', `\`from\`: there are ${audit.newestIndex() + 1} records`);
  }
  return audit.leaves.leaf(from - 1);
}

function witnessesOf({ enforcement }: ApiContext) {
  return enforcement.witnesses().map((each) => ({ ...each }));
}
