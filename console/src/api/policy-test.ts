import type { Explanation } from './denial.ts';

/** `POST /test`: what became of the cases of policy tests. */
export type PolicyTestReport = {
  readonly passed: boolean;
  readonly cases: readonly PolicyTestCase[];
  readonly coverage: readonly {
    readonly policy: string;
    readonly rules: { readonly covered: number; readonly all: number };
    readonly unmatchedRules: readonly number[];
    readonly gaps: readonly string[];
  }[];
};

/** One case; `problems` are sentences, none where it is as expected. */
export type PolicyTestCase = {
  readonly suite: string;
  readonly name: string;
  readonly passed: boolean;
  readonly problems: readonly string[];
  readonly explanation: Explanation | null;
};
