import type { Context, MiddlewareHandler } from 'hono';
import type { AuditFields } from '#audit';
import { createAllowance } from '../allowance.ts';
import { ApiProblem } from '../errors.ts';
import type { ApiContext, ApiEnv, Session } from './context.ts';
import { deedName } from './deed-names.ts';

/** What a route says of what it did, or refused; the rest is known of every request. */
export type Deed = {
  readonly action: string;
  readonly target?: { readonly kind: string; readonly name: string; readonly namespace?: string };
  readonly diff?: string;
  readonly reason?: string;
};

type AuditContext = Pick<ApiContext, 'audit' | 'clock'>;

// A client that keeps asking is one sign-in; what it does is recorded one by one.
const SIGN_IN_MS = 15 * 60_000;
const MAX_SIGNED_IN = 10_000;
// SECURITY: whoever has no rights must not fill the disk by being refused.
const STRANGERS_PER_MINUTE = 30;

/**
 * Records what changes anything, done or refused, before it is answered; so too who signs in, and what a route names by
 * `c.set('audit', …)`. `isWrite` says whether a request changes anything.
 */
export function createAudited(
  context: AuditContext,
  isWrite: (c: Context<ApiEnv>) => boolean,
): MiddlewareHandler<ApiEnv> {
  const strangers = createAllowance(context.clock, STRANGERS_PER_MINUTE);
  const signIns = createSignIns(context);
  return async (c, next) => {
    const writes = isWrite(c);
    if (writes) await refuseUnrecorded(context);
    await next();
    const session = c.get('session') as Session | undefined;
    const deed = c.get('audit');
    if (session === undefined && !strangers.take()) return;
    if (session !== undefined) await signIns.note(c, session);
    if (!writes && deed === undefined && session !== undefined) return;
    const fields = fieldsOf(c, deed ?? plainDeed(c, session));
    await context.audit.append(fields).catch(() => answerUnrecorded(c));
  };
}

/** The address a request came from. */
export function addressOf(c: Context<ApiEnv>): string {
  return c.env.incoming.socket.remoteAddress ?? '';
}

// INVARIANT: while there is something that the disk does not take, nothing more is done that would have to be recorded.
async function refuseUnrecorded({ audit }: AuditContext): Promise<void> {
  const refusal = await audit.refusal();
  if (refusal === undefined) return;
  const reason = 'nothing was changed: the audit log takes no records';
  throw new ApiProblem('storage_failed', `${reason}: ${refusal}`);
}

function plainDeed(c: Context<ApiEnv>, session: Session | undefined): Deed {
  const target = { kind: 'Path', name: c.req.path };
  if (session === undefined) return { action: 'admin.refused', target };
  return { action: deedName(c.req.method, c.req.path), target };
}

function fieldsOf(c: Context<ApiEnv>, deed: Deed): AuditFields {
  const session = c.get('session') as Session | undefined;
  const problem = c.error instanceof ApiProblem ? c.error : undefined;
  const isRefused = c.res.status >= 400;
  const reason = problem === undefined ? deed.reason : `${problem.code}: ${problem.message}`;
  return {
    action: deed.action,
    'actor.id': session?.name ?? 'nobody',
    'actor.ip': addressOf(c),
    ...(deed.target === undefined
      ? {}
      : {
          'target.kind': deed.target.kind,
          'target.name': deed.target.name,
          'target.namespace': deed.target.namespace ?? '',
        }),
    result: isRefused ? 'refused' : 'ok',
    reason: reason ?? (isRefused ? `status ${c.res.status}` : ''),
    diff: deed.diff ?? '',
  };
}

// It was done, and cannot be undone here; who asked must know that it is on no record yet.
function answerUnrecorded(c: Context<ApiEnv>): void {
  const detail =
    'what was asked for was done or refused, but the audit log could not be written; it is recorded once the disk takes it';
  const document = {
    type: 'about:blank',
    title: 'The disk did not take it',
    status: 507,
    code: 'storage_failed',
    detail,
  };
  c.res = new Response(JSON.stringify(document), {
    status: 507,
    headers: { 'content-type': 'application/problem+json' },
  });
}

function createSignIns({ audit, clock }: AuditContext) {
  const seen = new Map<string, number>();
  return {
    async note(c: Context<ApiEnv>, { kind, name }: Session): Promise<void> {
      // The console's own sign-in is recorded where its link is spent.
      if (kind === 'console') return;
      const now = clock();
      const key = `${name} ${addressOf(c)}`;
      if (now - (seen.get(key) ?? -Infinity) < SIGN_IN_MS) return;
      if (seen.size >= MAX_SIGNED_IN) seen.clear();
      seen.set(key, now);
      await audit
        .append({
          action: 'admin.sign_in',
          'actor.id': name,
          'actor.ip': addressOf(c),
          'target.kind': 'Api',
          result: 'ok',
        })
        .catch(() => {
          // Kept, and recorded once the disk takes it.
        });
    },
  };
}
