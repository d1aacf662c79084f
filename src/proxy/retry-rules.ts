import type { RetryCause } from '#snapshot';
import type { EndpointGroup } from './endpoint-group.ts';

/** Methods whose requests may be sent twice (RFC 9110 section 9.2.2). */
export const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'TRACE',
]);

/** Counts what became of wishes for another try. */
export type RetryCounter = (outcome: 'tried' | 'attempts_spent' | 'budget_spent') => void;

/** Failures of which a peer's sidecar says that nothing reached an application (surface: "invites a retry"). */
const INVITING = new Set<string>(['no_healthy_endpoint', 'upstream_connect_failed']);

/**
 * Why an answer with this status and `x-palisade-reason` may be left to another try; undefined for
 * none. A denial is never asked for again, nor anything else that a sidecar said for good.
 */
export function causeOfAnswer(status: number, reason: string | undefined): RetryCause | undefined {
  if (!isGatewayError(status)) return undefined;
  if (reason === undefined) return 'gateway-error';
  return INVITING.has(reason) ? 'connect-failure' : undefined;
}

/** Whether a status says that whoever answers did not get an answer itself. */
export function isGatewayError(status: number): boolean {
  return status >= 502 && status <= 504;
}

/** The retries that one call has had, by the rules of the service it calls. */
export class CallRetries {
  readonly #count: RetryCounter;
  #made = 0;

  constructor(count: RetryCounter) {
    this.#count = count;
  }

  /** Another call begins, or none is left. */
  reset(): void {
    this.#made = 0;
  }

  /**
   * Whether there is another try; it is taken if so. Going on to another endpoint repeats nothing
   * (`nothingSent`); only what was sent before is load that the budget bounds.
   */
  tryTake(group: EndpointGroup, cause: RetryCause, nothingSent = false): boolean {
    const { attempts, on, budget } = group.traffic.retries;
    if (attempts === 0 || !on.has(cause)) return false;
    if (this.#made >= attempts) {
      this.#count('attempts_spent');
      return false;
    }
    if (!nothingSent && !group.retries.tryTake(budget)) {
      this.#count('budget_spent');
      return false;
    }
    this.#made++;
    this.#count('tried');
    return true;
  }
}
