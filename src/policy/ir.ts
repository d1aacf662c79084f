import type { Cidr, TimeWindow } from '#lib';
import type { Field } from './field.ts';
import type { PathTemplate } from './template.ts';

/** One value of a condition, parsed; `text` is what the author wrote. Built by `parseCondition` only. */
export type Pattern =
  | { readonly kind: 'exact'; readonly text: string; readonly value: string }
  | { readonly kind: 'prefix'; readonly text: string; readonly value: string }
  /** Ends in `value`, of which no character lies within the first `skip`. */
  | {
      readonly kind: 'suffix';
      readonly text: string;
      readonly value: string;
      readonly skip: number;
    }
  /** Any value, an empty one only if `empty`; never an absent one. */
  | { readonly kind: 'present'; readonly text: string; readonly empty: boolean }
  | { readonly kind: 'template'; readonly text: string; readonly template: PathTemplate }
  /** Contains the pieces one after another, e.g. `/ns/web/` or `/ns/we`, `b/`. */
  | { readonly kind: 'pieces'; readonly text: string; readonly pieces: readonly string[] }
  | {
      readonly kind: 'serviceAccount';
      readonly text: string;
      readonly namespace: string;
      readonly account: string;
    }
  | { readonly kind: 'block'; readonly text: string; readonly block: Cidr }
  | { readonly kind: 'port'; readonly text: string; readonly port: number }
  | {
      readonly kind: 'issuerSubject';
      readonly text: string;
      readonly issuer: TextPattern;
      readonly subject: TextPattern;
    }
  /** Attested at least as strongly as this rank of `ATTESTATION_STRENGTHS`. */
  | { readonly kind: 'strength'; readonly text: string; readonly rank: number }
  | { readonly kind: 'window'; readonly text: string; readonly window: TimeWindow };

/** A pattern of one text, by itself. */
export type TextPattern = Extract<
  Pattern,
  { readonly kind: 'exact' | 'prefix' | 'suffix' | 'present' }
>;

/** Holds if any pattern matches the field; if `negated`, if none does (so also where it is absent). */
export type ConditionIr = {
  readonly field: Field;
  readonly negated: boolean;
  readonly patterns: readonly Pattern[];
};

/** Conditions that must all hold; none at all hold always. */
export type AlternativeIr = readonly ConditionIr[];

/**
 * A rule matches if one of `sources`, one of `operations` and all of `when` hold; an empty list of
 * alternatives holds always. `when` are conditions beyond caller and operation.
 */
export type RuleIr = {
  readonly sources: readonly AlternativeIr[];
  readonly operations: readonly AlternativeIr[];
  readonly when: AlternativeIr;
};

/** Fields of the authored resource that no decision depends on. */
export type PolicyOrigin = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly matchLabels: Readonly<Record<string, string>> | undefined;
  readonly targets: readonly { readonly kind: string; readonly name: string }[];
};

/** What a policy does with what it matches. */
export type PolicyAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/** Calls that one DENY policy leaves alone until an instant. */
export type ExceptionIr = {
  /** `namespace/name`. */
  readonly id: string;
  /** Milliseconds since 1970; from then on the exception is none. */
  readonly expiresAt: number;
  readonly rules: readonly RuleIr[];
};

/** One AuthorizationPolicy that applies to the workload, normalised; both evaluators read this. */
export type PolicyIr = {
  /** `namespace/name`. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly action: PolicyAction;
  /** Who is asked by a CUSTOM policy; undefined for the other actions. */
  readonly provider?: string | undefined;
  /** What this DENY policy does not apply to, for a time; the other actions have none. */
  readonly exceptions?: readonly ExceptionIr[] | undefined;
  readonly dryRun: boolean;
  readonly rules: readonly RuleIr[];
  /** The rest of the resource, kept so that `explain` can print it with its change. */
  readonly origin: PolicyOrigin;
};

/** What holds for the mesh rather than for a policy. */
export type PolicyOptions = {
  /** The verdict where no ALLOW policy applies to the workload. */
  readonly defaultAction: 'deny' | 'allow';
};
