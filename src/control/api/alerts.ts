import { createRoute, z } from '@hono/zod-openapi';
import type { AlertEvent, Silence } from '#alert';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import {
  answers,
  Instant,
  instantAfter,
  PageQuery,
  pageFrom,
  pageOf,
  problemAnswers,
} from './schemas.ts';

const Alert = z
  .object({
    id: z.string(),
    name: z.string(),
    group: z.string(),
    severity: z.enum(['page', 'ticket']),
    state: z.enum(['pending', 'firing', 'resolved']),
    starts_at: Instant,
    ends_at: Instant.nullable(),
    summary: z.string(),
    labels: z.record(z.string(), z.string()),
    evidence: z.array(z.object({ text: z.string(), link: z.string().nullable() })),
    likely_cause: z.string(),
    runbook: z.string(),
    command: z.string(),
    silenced_by: z.string().nullable(),
    inhibited_by: z.string().nullable(),
  })
  .openapi('Alert');

const Match = z.object({
  id: z.string().max(4_000).optional(),
  name: z.string().max(100).optional(),
  labels: z.record(z.string().max(100), z.string().max(2_048)).optional(),
});

const SilenceView = z
  .object({
    id: z.string(),
    match: Match,
    owner: z.string(),
    reason: z.string(),
    created_at: Instant,
    ends_at: Instant,
  })
  .openapi('Silence');

const NewSilence = z
  .object({ match: Match, reason: z.string(), ends_at: z.string().max(40) })
  .openapi('NewSilence');

const list = createRoute({
  method: 'get',
  path: '/alerts',
  summary: 'What needs a person: what fires unless `state` says otherwise, pages first',
  request: {
    query: PageQuery.extend({
      state: z.enum(['firing', 'pending', 'resolved', 'all']).optional(),
      severity: z.enum(['page', 'ticket']).optional(),
    }),
  },
  responses: answers(pageOf(Alert)),
});

const silences = createRoute({
  method: 'get',
  path: '/silences',
  summary: 'Silences that have not ended, with who answers for each',
  request: { query: PageQuery },
  responses: answers(pageOf(SilenceView)),
});

const silence = createRoute({
  method: 'post',
  path: '/silences',
  summary: 'Silences alerts until an instant (or for a while, such as 2h), in the name of who asks',
  request: { body: { required: true, content: { 'application/json': { schema: NewSilence } } } },
  responses: {
    201: {
      description: 'in force and on disk',
      content: { 'application/json': { schema: SilenceView } },
    },
    ...problemAnswers(['read_only', 'storage_failed']),
  },
});

const unsilence = createRoute({
  method: 'delete',
  path: '/silences/{id}',
  summary: 'Ends a silence',
  request: {
    params: z.object({
      id: z
        .string()
        .max(100)
        .openapi({ param: { name: 'id', in: 'path' } }),
    }),
  },
  responses: { ...answers(SilenceView, ['not_found', 'read_only', 'storage_failed']) },
});

/** GET /alerts, GET and POST /silences, DELETE /silences/:id. */
export function addAlertRoutes(api: Api, context: ApiContext): void {
  const { alerts, clock } = context;
  api.openapi(list, (c) => {
    const { state = 'firing', severity, ...page } = c.req.valid('query');
    const found = alerts
      .alerts()
      .filter((alert) => state === 'all' || alert.state === state)
      .filter((alert) => severity === undefined || alert.severity === severity);
    return c.json(pageFrom(found.map(viewOfAlert), page), 200);
  });
  api.openapi(silences, (c) =>
    c.json(pageFrom(alerts.silences().map(viewOfSilence), c.req.valid('query')), 200),
  );
  api.openapi(silence, (c) => {
    const { match, reason, ends_at } = c.req.valid('json');
    const name = match.id ?? match.name ?? JSON.stringify(match.labels ?? {});
    c.set('audit', { action: 'alert.silence', target: { kind: 'Alert', name }, reason });
    const endsAt = instantAfter(ends_at, 'ends_at', clock());
    // SECURITY: the owner is who signed in, so nobody silences in somebody else's name.
    const made = alerts.silence({ match, reason, endsAt }, c.get('session').name);
    if (!made.ok) throw new ApiProblem(made.error.kind, made.error.message);
    return c.json(viewOfSilence(made.value), 201);
  });
  api.openapi(unsilence, (c) => {
    const { id } = c.req.valid('param');
    c.set('audit', { action: 'alert.unsilence', target: { kind: 'Silence', name: id } });
    const ended = alerts.unsilence(id);
    if (!ended.ok) throw new ApiProblem(ended.error.kind, ended.error.message);
    return c.json(viewOfSilence(ended.value), 200);
  });
}

function viewOfAlert(alert: AlertEvent): z.infer<typeof Alert> {
  return {
    ...alert,
    labels: { ...alert.labels },
    evidence: alert.evidence.map((one) => ({ ...one })),
  };
}

function viewOfSilence({
  match,
  createdAt,
  endsAt,
  ...rest
}: Silence): z.infer<typeof SilenceView> {
  const { id, name, labels } = match;
  return {
    ...rest,
    match: {
      ...(id === undefined ? {} : { id }),
      ...(name === undefined ? {} : { name }),
      ...(labels === undefined ? {} : { labels: { ...labels } }),
    },
    created_at: new Date(createdAt).toISOString(),
    ends_at: new Date(endsAt).toISOString(),
  };
}
