import type { Cidr } from '#lib';
import type { PathTemplate } from './template.ts';

/** The attribute of a question that a condition reads. */
export type Field =
  | 'principal'
  | 'namespace'
  | 'serviceAccount'
  | 'ip'
  | 'method'
  | 'host'
  | 'path'
  | 'port'
  | 'sni';

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
  | { readonly kind: 'port'; readonly text: string; readonly port: number };

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

/** One AuthorizationPolicy that applies to the workload, normalised; both evaluators read this. */
export type PolicyIr = {
  /** `namespace/name`. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly action: 'ALLOW' | 'DENY';
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

/** Fields that only a request has. On a TCP connection an ALLOW rule with one of them is void, a DENY rule loses them. */
export const HTTP_FIELDS: ReadonlySet<Field> = new Set(['method', 'host', 'path']);
