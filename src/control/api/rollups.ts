import { createRoute, z } from '@hono/zod-openapi';
import { parseDuration } from '#lib';
import { ROLLUP_METRICS, type RollupMetric } from '#record-store';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, instantOf, refuseReversed } from './schemas.ts';

const METRICS: ReadonlySet<string> = new Set(ROLLUP_METRICS);

const list = createRoute({
  method: 'get',
  path: '/rollups',
  summary: `Sums over time of what records tell, weighted; metric: some of ${ROLLUP_METRICS.join(', ')}`,
  request: {
    query: z.object({
      step: z.string().max(20).optional(),
      from: z.string().max(40).optional(),
      until: z.string().max(40).optional(),
      group: z.enum(['edge', 'service', 'total']).optional(),
      metric: z.string().max(200).optional(),
    }),
  },
  responses: answers(
    z.object({
      series: z.array(
        z.object({
          key: z.record(z.string(), z.string()),
          /** The time in ms since 1970, then a value for each metric. */
          points: z.array(z.array(z.number().nullable())),
        }),
      ),
    }),
  ),
});

const DEFAULT_SPAN_MS = 3_600_000;
const DEFAULT_METRICS = 'requests,denied,errors';
const MIN_STEP_MS = 1_000;
const MAX_POINTS = 11_000;
// Of each of hundreds of edges: a day by the minute would be read for seconds.
const MAX_GROUPED_POINTS = 300;
const MAX_SERIES = 2_000;

/** GET /rollups. */
export function addRollupRoute(api: Api, { records, clock }: ApiContext): void {
  api.openapi(list, async (c) => {
    const {
      step = '1m',
      from,
      until,
      group = 'total',
      metric = DEFAULT_METRICS,
    } = c.req.valid('query');
    const now = clock();
    const untilMs = instantOf(until, 'until', now) ?? now;
    const fromMs = instantOf(from, 'from', now) ?? untilMs - DEFAULT_SPAN_MS;
    refuseReversed('from', fromMs, untilMs);
    const stepMs = stepOf(step);
    const maxPoints = group === 'total' ? MAX_POINTS : MAX_GROUPED_POINTS;
    if ((untilMs - fromMs) / stepMs > maxPoints) {
      throw new ApiProblem(
        'bad_request',
        `a line has at most ${maxPoints} points with \`group=${group}\`: take a longer step`,
      );
    }
    const metrics = metric.split(',').map(metricOf);
    const { series } = await records.rollups({ stepMs, fromMs, untilMs, group, metrics });
    const shown = series.slice(0, MAX_SERIES).map(({ key, points }) => ({
      key: { ...key },
      points: points.map((point) => [...point]),
    }));
    return c.json({ series: shown }, 200);
  });
}

function stepOf(text: string): number {
  const step = parseDuration(text);
  if (step.ok && step.value >= MIN_STEP_MS && step.value % MIN_STEP_MS === 0) return step.value;
  throw new ApiProblem(
    'bad_request',
    '`step` is a duration of whole seconds, such as 1s, 1m or 1h',
  );
}

function metricOf(name: string): RollupMetric {
  if (METRICS.has(name)) return name as RollupMetric;
  throw new ApiProblem('bad_request', `\`metric\`: there is no \`${name}\``);
}
