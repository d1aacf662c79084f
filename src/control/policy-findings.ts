import type { TrustDomain } from '#identity';
import {
  type AuthorizationPolicyResource,
  type AuthorizationRule,
  crossCheck,
  isDryRun,
  parseResources,
  type Resource,
  resourceKey,
} from '#resource';

/** Something in a policy in force that its author should look at, at a line of the text that the author wrote. */
export type PolicyFinding = {
  /** `Kind/name` */
  readonly key: string;
  /** From 1, within the resource's own source. */
  readonly line: number;
  /** `wide_rule`, or a code of `palisade validate`. */
  readonly code: string;
  readonly message: string;
  readonly help: string;
};

/** A namespace's policies as they were written, and what is in force everywhere. */
export type FindingsInput = {
  readonly namespace: string;
  readonly sources: readonly { readonly key: string; readonly text: string }[];
  readonly live: readonly Resource[];
  readonly trustDomain: TrustDomain;
};

/** What `palisade validate` would say of a namespace's policies now, and which rules let anybody in; in their order. */
export function policyFindings(input: FindingsInput): readonly PolicyFinding[] {
  const { namespace, sources, live, trustDomain } = input;
  const files = sources
    .filter(({ key }) => key.startsWith('AuthorizationPolicy/'))
    .map(({ key, text }) => ({ file: key, text }));
  const { resources } = parseResources(files, { defaultNamespace: namespace, trustDomain });
  const wide = resources.flatMap(({ resource, position }) =>
    wideRules(resource).map((rule): PolicyFinding => {
      const { line } = position(['spec', 'rules', rule]);
      return { key: resourceKey(resource), line, ...WIDE };
    }),
  );
  const checked = crossCheck(resources, live).map(({ file, line, code, message, help }) => ({
    key: file,
    line,
    code,
    message,
    help,
  }));
  return [...wide, ...checked].sort(
    (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) || a.line - b.line,
  );
}

const WIDE = {
  code: 'wide_rule',
  message: 'names no caller and no condition: it lets in anybody who can connect, whoever that is',
  help: 'name the callers in `from`, or say in a comment why anybody may',
} as const;

/** The rules of an enforced ALLOW policy that let anybody in, by their index. */
export function wideRules(resource: Resource): readonly number[] {
  if (!isEnforcedAllow(resource)) return [];
  return resource.spec.rules.flatMap((rule, index) => (isWide(rule) ? [index] : []));
}

/** Whether a policy lets somebody in: an ALLOW that is not in dry-run. */
export function isEnforcedAllow(resource: Resource): resource is AuthorizationPolicyResource {
  return (
    resource.kind === 'AuthorizationPolicy' &&
    resource.spec.action === 'ALLOW' &&
    !isDryRun(resource.metadata)
  );
}

function isWide({ from, when }: AuthorizationRule): boolean {
  return from === undefined && when === undefined;
}
