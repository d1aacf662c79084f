import { createRoute, z } from '@hono/zod-openapi';
import { EVENT } from '#telemetry';
import { describeTarget, type VerifiedRevocation } from '#trust';
import { ApiProblem } from '../errors.ts';
import type { Deed } from './audited.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Envelope, problemAnswers } from './schemas.ts';

const Held = z
  .object({
    entries: z.array(Envelope),
    problems: z.array(
      z.object({ kind: z.enum(['gap', 'fork']), issuer: z.string(), number: z.int() }),
    ),
    digest: z.string(),
  })
  .openapi('Revocations');

const Body = z
  .object({ entries: z.array(z.unknown()).min(1).max(256) })
  .openapi('SubmittedRevocations');

const Taken = z.object({ added: z.int(), digest: z.string() }).openapi('TakenRevocations');

const list = createRoute({
  method: 'get',
  path: '/revocations',
  summary: 'Every signed revocation and lift; whoever asks verifies them',
  responses: answers(Held),
});

const submit = createRoute({
  method: 'post',
  path: '/revocations',
  summary: 'Hands in signed revocations or lifts',
  request: { body: { required: true, content: { 'application/json': { schema: Body } } } },
  responses: {
    201: {
      description: 'in force and on disk',
      content: { 'application/json': { schema: Taken } },
    },
    ...problemAnswers(['untrusted_commit', 'invalid_commit', 'unavailable']),
  },
});

/** GET and POST /revocations. */
export function addRevocationRoutes(api: Api, context: ApiContext): void {
  const { revocations, log } = context;
  api.openapi(list, (c) =>
    c.json(
      {
        entries: revocations.all().map(({ envelope }) => ({
          ...envelope,
          signatures: envelope.signatures.map((signature) => ({ ...signature })),
        })),
        problems: [...revocations.problems()],
        digest: revocations.summary().digest,
      },
      200,
    ),
  );
  api.openapi(submit, async (c) => {
    const { added, refused } = revocations.receive(c.req.valid('json').entries);
    c.set('audit', deedOf(added));
    const [refusal] = refused;
    if (refusal !== undefined) {
      log.warn(EVENT.revocationRefused, { from: c.get('session').name, ...refusal });
      const { code, message } = refusal;
      const kind = code === 'signature_threshold' ? 'untrusted_commit' : 'invalid_commit';
      throw new ApiProblem(kind, message, { code });
    }
    try {
      await revocations.saved();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // SECURITY: it is distributed all the same; a full disk must not keep a stolen identity alive.
      throw new ApiProblem('unavailable', `in force, but not on this disk: ${reason}`);
    }
    return c.json({ added: added.length, digest: revocations.summary().digest }, 201);
  });
}

function deedOf(added: readonly VerifiedRevocation[]): Deed {
  const [first] = added;
  const isLift = first?.revocation.act.kind === 'lift';
  return {
    action: isLift ? 'identity.unrevoke' : 'identity.revoke',
    target: {
      kind: 'Identity',
      name: added.map(({ revocation }) => describeTarget(revocation.target)).join(', '),
    },
    reason: first?.revocation.act.reason ?? '',
  };
}
