import { createRoute, z } from '@hono/zod-openapi';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, instantOf, refuseReversed } from './schemas.ts';

const count = z.int();

const Hour = z
  .object({
    source: z.string(),
    service: z.string(),
    hour: Instant,
    issued: count,
    arrived: count,
    sampled: count,
    dropped: z.record(z.string(), count),
    missing: count,
    ratio: z.number(),
    gaps: z.array(z.object({ from_seq: count, until_seq: count, why: z.string() })),
  })
  .openapi('SourceHour');

const list = createRoute({
  method: 'get',
  path: '/completeness',
  summary: 'What each source issued in each hour against what came, with the gaps by their numbers',
  request: {
    query: z.object({
      from: z.string().max(40).optional(),
      until: z.string().max(40).optional(),
    }),
  },
  responses: answers(z.object({ sources: z.array(Hour), ratio: z.number() })),
});

const DEFAULT_SPAN_MS = 24 * 3_600_000;
const MAX_HOURS = 20_000;

/** GET /completeness. */
export function addCompletenessRoute(api: Api, { records, clock }: ApiContext): void {
  api.openapi(list, async (c) => {
    const { from, until } = c.req.valid('query');
    const now = clock();
    const untilMs = instantOf(until, 'until', now) ?? now;
    const fromMs = instantOf(from, 'from', now) ?? untilMs - DEFAULT_SPAN_MS;
    refuseReversed('from', fromMs, untilMs);
    const { sources, ratio } = await records.completeness({ fromMs, untilMs });
    const shown = sources.slice(-MAX_HOURS).map((hour) => ({
      ...hour,
      dropped: { ...hour.dropped },
      gaps: [...hour.gaps],
    }));
    return c.json({ sources: shown, ratio }, 200);
  });
}
