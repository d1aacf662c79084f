import { createRoute, z } from '@hono/zod-openapi';
import { Issuance } from '#wire';
import { ApiProblem } from '../errors.ts';
import { horizonState } from '../horizon.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, problemAnswers } from './schemas.ts';

const Item = z
  .object({
    kind: z.string(),
    name: z.string(),
    expiresAt: Instant,
    actAt: Instant.nullable(),
    state: z.enum(['ok', 'soon', 'expired']),
    fix: z.string(),
    agents: z.array(z.string()),
    refreshedAt: Instant.nullable(),
  })
  .openapi('HorizonItem');

const Answer = z.object({ items: z.array(Item), problem: z.string() }).openapi('Horizon');

const Token = z
  .object({
    id: z.string().regex(/^[0-9a-f]{32}$/, '32 hex digits'),
    host: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'a host name'),
    expiresAt: Instant,
  })
  .openapi('NotedJoinToken');

const Noted = z.object({ noted: z.literal(true) }).openapi('NotedAnswer');

const read = createRoute({
  method: 'get',
  path: '/horizon',
  summary: 'What expires, soonest first, with the command that helps',
  responses: answers(Answer),
});

const note = createRoute({
  method: 'post',
  path: '/join-tokens',
  summary: 'Tells of a join token that an author made; the token itself stays with its author',
  request: { body: { required: true, content: { 'application/json': { schema: Token } } } },
  responses: {
    201: { description: 'listed', content: { 'application/json': { schema: Noted } } },
    ...problemAnswers(['bad_request', 'unavailable']),
  },
});

/** GET /horizon and POST /join-tokens. */
export function addHorizonRoutes(api: Api, context: ApiContext): void {
  const { horizon, clock } = context;
  api.openapi(read, async (c) => {
    await horizon.refresh();
    const nowMs = clock();
    const items = horizon.items().map((item) => ({
      kind: item.kind,
      name: item.name,
      expiresAt: new Date(item.expiresAt).toISOString(),
      actAt: isoOrNull(item.actAt),
      state: horizonState(item, nowMs),
      fix: item.fix,
      agents: [...(item.agents ?? [])],
      refreshedAt: isoOrNull(item.refreshedAt ?? null),
    }));
    return c.json({ items, problem: horizon.problem() }, 200);
  });
  api.openapi(note, async (c) => {
    const { id, host, expiresAt } = c.req.valid('json');
    c.set('audit', {
      action: 'join_token.create',
      target: { kind: 'JoinToken', name: `${host} (${id.slice(0, 8)})` },
    });
    const expiresAtMs = Date.parse(expiresAt);
    if (!Number.isFinite(expiresAtMs)) throw new ApiProblem('bad_request', 'not an instant');
    const client = context.authority();
    try {
      await client.unary(Issuance.method.noteJoinToken, {
        id,
        host,
        expiresAtMs: BigInt(expiresAtMs),
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiProblem('unavailable', `the authority did not note it: ${reason}`);
    } finally {
      client.close();
    }
    return c.json({ noted: true as const }, 201);
  });
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
