import { decide, type Question } from '#policy';
import type { CallerBudget } from '#snapshot';
import type { Failure } from './respond.ts';

/**
 * What callers have spent on the workload's requests: the part of the stage `admit` that knows what a request costs.
 * An account holds what is not yet back, so one that is even again is no account, and nothing is lost by
 * forgetting it.
 */
export class CallerAccounts {
  readonly #accounts = new Map<string, Account>();
  readonly #now: () => number;
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** `now` in milliseconds, never going back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes what a permitted request costs from its caller's account; a failure where there is not enough, and then nothing is taken. */
  charge(budget: CallerBudget, question: Question): Failure | undefined {
    const cost = costOf(budget, question);
    if (cost === 0) return undefined;
    const now = this.#now();
    const account = this.#accountOf(question.source.id?.text ?? NOBODY, budget, now);
    const spent = owed(account, budget, now) + cost;
    if (spent > budget.units) return { kind: 'rate_limited', detail: 'caller_budget' };
    account.spent = spent;
    account.at = now;
    return undefined;
  }

  /** How many callers have an account. */
  get size(): number {
    return this.#accounts.size;
  }

  #accountOf(caller: string, budget: CallerBudget, now: number): Account {
    const known = this.#accounts.get(caller);
    if (known !== undefined) return known;
    if (this.#accounts.size >= MAX_ACCOUNTS) this.#sweep(budget, now);
    // SECURITY: where there is no room, newcomers share one account; nobody who spent is forgotten for them.
    if (this.#accounts.size >= MAX_ACCOUNTS && caller !== OTHERS) {
      return this.#accountOf(OTHERS, budget, now);
    }
    const account = { spent: 0, at: now };
    this.#accounts.set(caller, account);
    return account;
  }

  /** Forgets who owes nothing any more; not with every newcomer, since it looks at all. */
  #sweep(budget: CallerBudget, now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [caller, account] of this.#accounts) {
      if (owed(account, budget, now) <= 0) this.#accounts.delete(caller);
    }
  }
}

type Account = { spent: number; at: number };

// With identities of usual length, 2 MiB.
const MAX_ACCOUNTS = 10_000;
const SWEEP_MS = 1_000;
/** All callers without identity, on ports that take plaintext, are one. Neither name is an identity. */
const NOBODY = 'nobody';
const OTHERS = 'others';

function owed({ spent, at }: Account, { units, perMs }: CallerBudget, now: number): number {
  return Math.max(0, spent - ((now - at) * units) / perMs);
}

function costOf({ program, costs, defaultCost, units }: CallerBudget, question: Question): number {
  const { reason, policy } = decide(program, question);
  // SECURITY: what cannot be told is as dear as can be, not as cheap.
  if (reason === 'cannot_decide') return units;
  return policy === undefined ? defaultCost : (costs.get(policy) ?? units);
}
