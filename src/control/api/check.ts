import { createRoute, z } from '@hono/zod-openapi';
import { checkCall, parseCaller } from '#compile';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { AnyObject, asObject, problemAnswers } from './schemas.ts';

const Question = z
  .object({
    from: z.string().max(2048).optional(),
    to: z.string().min(1).max(512),
    namespace: z.string().max(63).optional(),
    method: z.string().max(64).optional(),
    path: z.string().max(16_384).optional(),
    host: z.string().max(512).optional(),
    headers: z.record(z.string(), z.union([z.string(), z.array(z.string()).max(64)])).optional(),
    claims: z.record(z.string(), z.unknown()).optional(),
    port: z.int().min(1).max(65_535).optional(),
    sourceIp: z.union([z.ipv4(), z.ipv6()]).optional(),
    remoteIp: z.union([z.ipv4(), z.ipv6()]).optional(),
    destinationIp: z.union([z.ipv4(), z.ipv6()]).optional(),
    attestation: z.string().max(64).optional(),
    sni: z.string().max(255).optional(),
    labels: z.record(z.string(), z.string()).optional(),
    at: z.iso.datetime({ offset: true }).optional(),
  })
  .openapi('CheckQuestion');

const check = createRoute({
  method: 'post',
  path: '/check',
  summary: 'May this call pass, and why: judged by what is stored now; nothing is changed',
  request: { body: { required: true, content: { 'application/json': { schema: Question } } } },
  responses: {
    200: {
      description: 'an Explanation with `evaluatedAt`, the version of each namespace',
      content: { 'application/json': { schema: AnyObject.openapi('Explanation') } },
    },
    ...problemAnswers(['cannot_answer', 'too_large']),
  },
});

/** POST /check. */
export function addCheckRoute(api: Api, context: ApiContext): void {
  api.openapi(check, (c) => {
    const { from, to, namespace = 'default', at, ...question } = c.req.valid('json');
    const sets = context.resources.now();
    const { trustDomain } = context;
    const caller = parseCaller(from === '' ? undefined : from, namespace, trustDomain);
    if (!caller.ok) throw new ApiProblem('bad_request', `\`from\`: ${caller.error}`);
    const answer = checkCall({
      sets,
      trustDomain,
      from: caller.value,
      to,
      namespace,
      request: requestOf(question),
      port: question.port,
      sourceIp: question.sourceIp,
      remoteIp: question.remoteIp,
      destinationIp: question.destinationIp,
      attestation: question.attestation,
      sni: question.sni,
      labels: question.labels,
      nowMs: at === undefined ? context.clock() : Date.parse(at),
    });
    if (!answer.ok) throw new ApiProblem('cannot_answer', answer.error);
    const evaluatedAt = Object.fromEntries(
      Array.from(sets, ([name, { number }]) => [name, number]),
    );
    return c.json({ ...asObject(answer.value), evaluatedAt }, 200);
  });
}

function requestOf(question: z.infer<typeof Question> | Omit<z.infer<typeof Question>, 'to'>) {
  const { method, path, host, headers, claims } = question;
  const isRequest = [method, path, host, headers, claims].some((part) => part !== undefined);
  return isRequest
    ? { method: method ?? 'GET', path: path ?? '/', host, headers, claims }
    : undefined;
}
