import { createRoute, z } from '@hono/zod-openapi';
import type { PlaintextTally } from '#record-store';
import { portModes } from '../open-ports.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, instantOf } from './schemas.ts';

const Caller = z.object({
  sourceIp: z.string().nullable(),
  verdict: z.enum(['allow', 'deny']),
  count: z.int(),
  first: Instant,
  last: Instant,
});

const Port = z
  .object({
    service: z.string(),
    port: z.int(),
    mode: z.enum(['PERMISSIVE', 'DISABLE']),
    setBy: z.string().nullable(),
    calls: z.int(),
    couldBeStrict: z.boolean(),
    callers: z.array(Caller),
  })
  .openapi('PlaintextPort');

const list = createRoute({
  method: 'get',
  path: '/plaintext',
  summary: 'Ports that take plaintext, who sends it, and which could ask for mutual TLS today',
  request: { query: z.object({ since: z.string().max(40).optional() }) },
  responses: answers(z.object({ since: Instant, ports: z.array(Port) })),
});

const DEFAULT_SINCE_MS = 24 * 3_600_000;
const MAX_GROUPS = 10_000;
const MAX_CALLERS = 100;

/** GET /plaintext. */
export function addPlaintextRoute(api: Api, context: ApiContext): void {
  api.openapi(list, async (c) => {
    const now = context.clock();
    const sinceMs = instantOf(c.req.valid('query').since, 'since', now) ?? now - DEFAULT_SINCE_MS;
    const tallies = Map.groupBy(
      await context.records.plaintext(sinceMs, MAX_GROUPS),
      ({ namespace, service, port }) => `${namespace}/${service}:${port}`,
    );
    const ports = portModes(context.resources.now()).flatMap(({ mode, ...port }) => {
      if (mode === 'STRICT') return [];
      const own = tallies.get(`${port.service}:${port.port}`) ?? [];
      return {
        ...port,
        mode,
        calls: own.reduce((sum, { count }) => sum + count, 0),
        couldBeStrict: mode === 'PERMISSIVE' && own.length === 0,
        callers: own.slice(0, MAX_CALLERS).map(callerOf),
      };
    });
    return c.json({ since: new Date(sinceMs).toISOString(), ports }, 200);
  });
}

function callerOf(tally: PlaintextTally): z.infer<typeof Caller> {
  const { sourceIp, verdict, count, firstMs, lastMs } = tally;
  return {
    sourceIp,
    verdict,
    count,
    first: new Date(firstMs).toISOString(),
    last: new Date(lastMs).toISOString(),
  };
}
