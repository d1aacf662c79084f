import { createRoute, z } from '@hono/zod-openapi';
import type { Api, ApiContext } from './context.ts';
import { problemAnswers } from './schemas.ts';
import type { SseStreams } from './sse.ts';

const events = createRoute({
  method: 'get',
  path: '/events',
  summary: 'Hints on what may have changed, as server-sent events; fetch again what you show',
  responses: {
    200: {
      description:
        'events `hello`, `map`, `denials`, `enforcement`, `policy`, `identities`, `overview`',
      content: { 'text/event-stream': { schema: z.string() } },
    },
    ...problemAnswers(['unavailable']),
  },
});

/** GET /events. */
export function addEventRoute(api: Api, context: ApiContext, streams: SseStreams): void {
  api.openapi(
    events,
    () =>
      streams.open((send) => {
        send({ event: 'hello', data: { at: new Date(context.clock()).toISOString() } });
        return context.events.listen(({ kind, ...data }) => send({ event: kind, data }));
      }) as never,
  );
}
