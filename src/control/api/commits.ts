import { createRoute, z } from '@hono/zod-openapi';
import { EVENT } from '#telemetry';
import { type AdmissionRefusal, type Admitted, admit } from '../admit.ts';
import { diffOfCommit } from '../audit-diff.ts';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { NamespacePath, problemAnswers } from './schemas.ts';

const Body = z
  .object({
    envelope: z.unknown(),
    changes: z
      .array(
        z.object({
          key: z.string().max(320),
          resource: z.unknown(),
          source: z
            .string()
            .max(1024 * 1024)
            .optional(),
        }),
      )
      .max(100_000),
  })
  .openapi('SubmittedCommit');

const Stored = z
  .object({
    namespace: z.string(),
    number: z.int(),
    hash: z.string(),
    changes: z.array(
      z.object({ key: z.string(), change: z.enum(['added', 'changed', 'deleted']) }),
    ),
    warnings: z.array(z.looseObject({})),
  })
  .openapi('StoredCommit');

const content = { 'application/json': { schema: Stored } };

const submit = createRoute({
  method: 'post',
  path: '/policy-sets/{ns}/commits',
  summary: 'Hands in the next signed commit: compare-and-swap on the parent',
  request: {
    params: NamespacePath,
    query: z.object({ dryRun: z.enum(['true', 'false']).optional() }),
    headers: z.object({
      'if-match': z.string().optional(),
      'if-none-match': z.string().optional(),
    }),
    body: { required: true, content: { 'application/json': { schema: Body } } },
  },
  responses: {
    200: { description: 'would be stored', content },
    201: { description: 'stored', content },
    ...problemAnswers([
      'untrusted_commit',
      'parent_moved',
      'too_large',
      'invalid_commit',
      'precondition_required',
      'storage_failed',
    ]),
  },
});

/** POST /policy-sets/:ns/commits. */
export function addCommitRoute(api: Api, context: ApiContext): void {
  const { log } = context;
  api.openapi(submit, (c) => {
    const { ns } = c.req.valid('param');
    const { envelope, changes } = c.req.valid('json');
    const dryRun = c.req.valid('query').dryRun === 'true';
    const from = c.get('session').name;
    const before = context.sets.current(ns)?.resources;
    const result = admit(context.admission, {
      namespace: ns,
      envelope,
      // JSON has no undefined: a change without a resource deletes, as one with null does.
      changes: changes.map((change) => ({ ...change, resource: change.resource ?? null })),
      expectedParent: expectedParent(c.req.header('if-match'), c.req.header('if-none-match')),
      from,
      dryRun,
    });
    if (!dryRun) {
      context.countCommit(result.ok ? 'admitted' : 'refused');
      c.set('audit', {
        action: 'policy.commit',
        target: {
          kind: 'PolicySet',
          namespace: ns,
          name: result.ok ? `${result.value.number}` : '',
        },
        reason: result.ok ? `commit ${result.value.hash}` : '',
        diff: diffOfCommit(before, changes),
      });
    }
    if (!result.ok) {
      log.info(EVENT.commitRefused, { namespace: ns, from, reason: result.error.kind });
      throw problemOf(ns, result.error);
    }
    if (dryRun) return c.json(answer(result.value), 200);
    const { number, hash } = result.value;
    log.info(EVENT.commitAdmitted, { namespace: ns, number, hash, from });
    context.policyChanged(ns);
    return c.json(answer(result.value), 201);
  });
}

function answer({ namespace, number, hash, changes }: Admitted): z.infer<typeof Stored> {
  return { namespace, number, hash, changes: [...changes], warnings: [] };
}

/** The parent a write names (RFC 9110, sections 13.1.1 and 13.1.2); null: there must be none. */
function expectedParent(
  ifMatch: string | undefined,
  ifNoneMatch: string | undefined,
): string | null {
  if (ifNoneMatch === '*' && ifMatch === undefined) return null;
  const hash = /^"([0-9a-f]{64})"$/.exec(ifMatch ?? '')?.[1];
  if (hash !== undefined && ifNoneMatch === undefined) return hash;
  throw new ApiProblem(
    'precondition_required',
    'name the parent as If-Match: "HASH", or If-None-Match: * for the first commit of a namespace',
  );
}

// A signature that does not suffice is a matter of rights; all else is a matter of content.
const SIGNATURE_CODES: ReadonlySet<string> = new Set(['signature_threshold', 'key_not_allowed']);

function problemOf(namespace: string, refusal: AdmissionRefusal): ApiProblem {
  switch (refusal.kind) {
    case 'parent_moved': {
      const parent = refusal.head ?? { number: 0, hash: null };
      const detail = `the head of \`${namespace}\` is commit ${parent.number}, not the parent named`;
      return new ApiProblem('parent_moved', detail, { parent });
    }
    case 'untrusted': {
      const { code, message } = refusal.error;
      const kind = SIGNATURE_CODES.has(code) ? 'untrusted_commit' : 'invalid_commit';
      return new ApiProblem(kind, message, { code });
    }
    case 'invalid': {
      const { problems } = refusal;
      const detail = problems.map(({ key, message }) => `${key}: ${message}`).join('; ');
      return new ApiProblem('invalid_resources', detail.slice(0, 4_000), { problems });
    }
    case 'storage_failed':
      return new ApiProblem('storage_failed', `nothing was stored: ${refusal.message}`);
  }
}
