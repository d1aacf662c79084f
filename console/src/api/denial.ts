import type { AccessRecord } from './access-record.ts';

/** A proposal that would allow the call; `none` where no policy could help. */
export type SmallestChange = {
  readonly sentence: string;
  readonly kind: 'add_policy' | 'extend_rule' | 'narrow_deny' | 'none';
  readonly policy?: string;
  readonly yaml?: string;
  readonly diff?: string;
};

/** `GET /denials`: calls stopped for the same reason. */
export type DenialGroup = {
  readonly id: string;
  readonly source: string;
  readonly sourceId: string | null;
  readonly destination: string;
  readonly namespace: string;
  readonly policy: string | null;
  readonly rule: string | null;
  readonly reason: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
  readonly sample: {
    readonly denialId: string;
    readonly method: string | null;
    readonly path: string | null;
  };
  readonly sentence: string;
  readonly smallestChange?: SmallestChange | null;
};

/** One condition of a rule: where it stands, and whether it holds. */
export type TracedCondition = {
  readonly at: 'from' | 'to' | 'when';
  readonly alternative: number;
  readonly index: number;
  readonly holds: boolean;
  readonly sentence: string;
};

/** A decision with every policy that was considered, rule by rule. */
export type Explanation = {
  readonly decision: {
    readonly verdict: 'allow' | 'deny';
    readonly reason: string;
    readonly policy?: string;
    readonly rule?: number;
  };
  readonly considered: readonly {
    readonly policy: string;
    readonly action: 'ALLOW' | 'DENY';
    readonly dryRun: boolean;
    readonly matched: boolean;
    readonly rules: readonly {
      readonly rule: number;
      readonly matched: boolean;
      readonly failed: readonly string[];
      /** All conditions; absent in what a control plane of before 0.2 explained. */
      readonly conditions?: readonly TracedCondition[];
    }[];
  }[];
  readonly smallestChange?: SmallestChange | null;
};

/** `GET /records/:id/explanation`: one call, explained under the version that decided it and the one now. */
export type ReconsideredCall = {
  readonly explanation: Explanation;
  readonly evaluatedAt: Readonly<Record<string, number>>;
  /** False when the version that decided is not kept any more. */
  readonly exact: boolean;
  readonly changedSince: boolean;
  readonly now: Explanation;
};

/** `GET /denials/:id`: one denial, and the same of it. */
export type DenialDetail = ReconsideredCall & { readonly record: AccessRecord };
