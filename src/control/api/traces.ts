import { createRoute, z } from '@hono/zod-openapi';
import { ApiProblem } from '../errors.ts';
import { missingSides, spansOf } from '../trace-spans.ts';
import type { Api, ApiContext } from './context.ts';
import { AnyObject, answers, asObject, Instant, MissingRecord } from './schemas.ts';

const Span = z
  .object({
    span_id: z.string(),
    parent_span_id: z.string().nullable(),
    name: z.string(),
    kind: z.enum(['inbound', 'outbound', 'decision', 'tunnel_wait', 'upstream']),
    service: z.string().nullable(),
    node: z.string(),
    start: Instant,
    start_us: z.int(),
    duration_us: z.int(),
    attributes: AnyObject,
  })
  .openapi('Span');

const one = createRoute({
  method: 'get',
  path: '/traces/{id}',
  summary:
    'One call across services: its records, the stretches of time they tell of, and what is missing',
  request: { params: z.object({ id: z.string().max(64) }) },
  responses: answers(
    z.object({
      trace_id: z.string(),
      spans: z.array(Span),
      records: z.array(AnyObject),
      missing: z.array(MissingRecord),
    }),
    ['not_found'],
  ),
});

/** GET /traces/:id. */
export function addTraceRoute(api: Api, { records }: ApiContext): void {
  api.openapi(one, async (c) => {
    const id = c.req.valid('param').id.toLowerCase();
    if (!/^[0-9a-f]{32}$/.test(id)) {
      throw new ApiProblem('bad_request', 'a trace id is 32 hexadecimal digits');
    }
    const found = await records.trace(id);
    const times = found.map(({ time }) => Date.parse(time));
    if (times.length === 0) {
      throw new ApiProblem('not_found', `no record of trace \`${id}\` is kept`);
    }
    const range = { fromMs: Math.min(...times), untilMs: Math.max(...times) + 1 };
    const nodes = new Set(found.map(({ node }) => node));
    const lost = (await records.missing(range)).filter(({ source }) => nodes.has(source));
    const missing = [...missingSides(found), ...lost];
    const spans = spansOf(found).map((span) => ({ ...span, attributes: { ...span.attributes } }));
    return c.json({ trace_id: id, spans, records: found.map(asObject), missing }, 200);
  });
}
