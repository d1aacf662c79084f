import { BACKDATE_MS, requesterTag } from '#identity';
import type { Result } from '#lib';
import type { ServiceOptions } from './answer.ts';
import type { SignedRegistration } from './check.ts';
import type { Grant } from './issue.ts';
import type { Policy } from './policy.ts';
import { type Refusal, refuse } from './refusal.ts';

/**
 * Decides by the registrations of now, and again as they change for as long as it is a denial: a registration reaches the
 * agent and this authority by different streams, and an agent that was quicker should not have to ask twice.
 */
export async function decidePatiently<T>(question: {
  readonly options: ServiceOptions;
  readonly isPatient: boolean;
  readonly id: string;
  readonly decide: (registrations: readonly SignedRegistration[]) => Result<T, Refusal>;
}): Promise<Result<T, Refusal>> {
  const { id, decide, isPatient } = question;
  const { policy, patienceMs } = question.options;
  let deadline: AbortSignal | undefined;
  for (;;) {
    const grant = decide(policy.registrationsOf(id));
    if (grant.ok || grant.error.status !== 'denied' || !isPatient) return grant;
    deadline ??= AbortSignal.timeout(patienceMs);
    if (deadline.aborted) return grant;
    await changeOrAbort(policy, deadline);
  }
}

function changeOrAbort(policy: Policy, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const stop = policy.onChange(done);
    signal.addEventListener('abort', done);
  });
}

/**
 * SECURITY: what is revoked for good is not given again; only what a new credential would cure is. Credentials know
 * seconds only: one of the very second up to which all were revoked would count as revoked, so the next is waited for.
 */
export async function revokedAlready(
  { clock, revoked }: ServiceOptions,
  { id, requestedBy }: Pick<Grant, 'id' | 'requestedBy'>,
): Promise<Result<never, Refusal> | undefined> {
  const nowMs = clock();
  const requester = requestedBy === '' ? undefined : requesterTag(requestedBy);
  const problemAt = (issuedAt: number) =>
    revoked()({ id, serial: '', notBefore: issuedAt - BACKDATE_MS, requester }, nowMs);
  const secondMs = Math.floor(nowMs / 1000) * 1000;
  if (problemAt(secondMs) === undefined) return undefined;
  const problem = problemAt(secondMs + 1000);
  if (problem !== undefined) return refuse('denied', problem.message);
  await new Promise((resolve) => setTimeout(resolve, secondMs + 1000 - nowMs));
  return undefined;
}
