import { createRoute, z } from '@hono/zod-openapi';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { Instant, problemAnswers } from './schemas.ts';

const Link = z.object({ url: z.string(), expiresAt: Instant }).openapi('SignInLink');

const create = createRoute({
  method: 'post',
  path: '/console/links',
  summary: 'A new link that signs one browser in to the console, once, within ten minutes',
  responses: {
    201: { description: 'made', content: { 'application/json': { schema: Link } } },
    ...problemAnswers(['read_only', 'unavailable']),
  },
});

/** POST /console/links. */
export function addLinkRoute(api: Api, context: ApiContext): void {
  api.openapi(create, (c) => {
    c.set('audit', { action: 'console.link', target: { kind: 'Console', name: 'sign-in link' } });
    const { consoleUrl } = context.facts();
    if (consoleUrl === null)
      throw new ApiProblem('unavailable', 'this control plane serves no console');
    const { token, expiresAt } = context.sessions.createLink();
    const url = signInUrl(consoleUrl, token);
    return c.json({ url, expiresAt: new Date(expiresAt).toISOString() }, 201);
  });
}

/** The link that spends `token`. */
export function signInUrl(consoleUrl: string, token: string): string {
  return `${consoleUrl}/sign-in?token=${token}`;
}
