import { createRoute, z } from '@hono/zod-openapi';
import { EVENT } from '#telemetry';
import { decodeEnvelope, parseEnvelope } from '#trust';
import { Issuance } from '#wire';
import { diffOfRoots } from '../audit-diff.ts';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Envelope, problemAnswers } from './schemas.ts';

const Prepared = z.object({ envelope: Envelope }).openapi('NextRoot');
const Successor = z.object({ envelope: z.unknown() }).openapi('SubmittedTrustRoot');
const Taken = z.object({ version: z.int() }).openapi('TakenTrustRoot');

const prepare = createRoute({
  method: 'post',
  path: '/authority/next-root',
  summary:
    'Has the authority make its next root, unless it has; answers its signed statement of it',
  responses: answers(Prepared, ['unavailable']),
});

const succeed = createRoute({
  method: 'post',
  path: '/trust-root',
  summary: 'Hands in the successor of the trust root, signed by the threshold of both',
  request: { body: { required: true, content: { 'application/json': { schema: Successor } } } },
  responses: {
    201: { description: 'distributed', content: { 'application/json': { schema: Taken } } },
    ...problemAnswers(['untrusted_commit', 'invalid_commit', 'storage_failed']),
  },
});

const crl = createRoute({
  method: 'get',
  path: '/crl',
  summary: "The authority's revocation list for outsiders: base64 of its DER",
  responses: answers(z.object({ crl: z.string() }).openapi('Crl'), ['unavailable']),
});

/** GET /crl, POST /authority/next-root and /trust-root. */
export function addAuthorityRoutes(api: Api, context: ApiContext): void {
  const { log } = context;
  api.openapi(prepare, async (c) => {
    c.set('audit', { action: 'ca.prepare_root', target: { kind: 'Authority', name: 'next root' } });
    const answer = await prepareRoot(context).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiProblem('unavailable', `the authority cannot be asked: ${reason}`);
    });
    const { payloadType, payload, signatures } = answer;
    return c.json({ envelope: { payloadType, payload, signatures: [...signatures] } }, 200);
  });
  api.openapi(crl, async (c) => {
    const list = await fetchCrl(context).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiProblem('unavailable', `the authority cannot be asked: ${reason}`);
    });
    return c.json({ crl: Buffer.from(list).toString('base64') }, 200);
  });
  api.openapi(succeed, async (c) => {
    const envelope = parseEnvelope(c.req.valid('json').envelope);
    const target = { kind: 'TrustRoot', name: context.trustDomain };
    c.set('audit', { action: 'ca.rotate', target });
    if (!envelope.ok) throw new ApiProblem('invalid_commit', envelope.error.message);
    const before = context.trustRoot.root;
    const next = await context.trustRoot.succeed(envelope.value).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiProblem('storage_failed', `nothing was stored: ${reason}`);
    });
    if (!next.ok) {
      const { code, message } = next.error;
      log.warn(EVENT.trustRootRefused, { from: c.get('session').name, code, reason: message });
      const kind = code === 'signature_threshold' ? 'untrusted_commit' : 'invalid_commit';
      throw new ApiProblem(kind, message, { code });
    }
    c.set('audit', { action: 'ca.rotate', target, diff: diffOfRoots(before, next.value) });
    log.info(EVENT.trustRootSucceeded, { version: next.value.version });
    return c.json({ version: next.value.version }, 201);
  });
}

async function prepareRoot({ authority }: ApiContext) {
  const client = authority();
  try {
    const { envelope } = await client.unary(Issuance.method.prepareRoot, {});
    const decoded = decodeEnvelope(envelope);
    if (!decoded.ok) throw new Error(decoded.error.message);
    return decoded.value;
  } finally {
    client.close();
  }
}

async function fetchCrl({ authority }: ApiContext): Promise<Uint8Array> {
  const client = authority();
  try {
    return (await client.unary(Issuance.method.fetchCrl, {})).crl;
  } finally {
    client.close();
  }
}
