import type { PolicyAction } from './ir.ts';
import type { Decision } from './question.ts';
import type { TracedCondition } from './trace.ts';

/** A decision with its reasons in words: every policy that applies, rule by rule, and what would change the answer. */
export type Explanation = {
  readonly decision: Decision;
  readonly considered: readonly ConsideredPolicy[];
  /** The smallest change that would allow the call; undefined where it is allowed already. */
  readonly smallestChange: SmallestChange | undefined;
};

/** What became of one policy; `matched` is whether any of its rules did. */
export type ConsideredPolicy = {
  readonly policy: string;
  readonly action: PolicyAction;
  readonly dryRun: boolean;
  readonly matched: boolean;
  readonly rules: readonly ConsideredRule[];
};

/**
 * What became of one rule; `failed` are sentences, of its nearest alternative, e.g. "path `/admin` is
 * not one of `/api/*`"; `conditions` are all of its conditions, whether they hold or not.
 */
export type ConsideredRule = {
  readonly rule: number;
  readonly matched: boolean;
  readonly failed: readonly string[];
  readonly conditions: readonly TracedCondition[];
};

/**
 * A proposal. `yaml` is a resource to apply: a new one for `add_policy`, else the changed one, with
 * `diff` against what is in force. `none` where no policy could help.
 */
export type SmallestChange = {
  readonly sentence: string;
  readonly kind: 'add_policy' | 'extend_rule' | 'narrow_deny' | 'none';
  readonly policy?: string;
  readonly yaml?: string;
  readonly diff?: string;
};

/** The workload that was called, for the words and the resources of an explanation. */
export type ExplainedWorkload = { readonly namespace: string; readonly service: string };
