import { type RuleCondition, readCondition } from './authorization-condition.ts';
import { type RuleOperation, readOperation } from './authorization-operation.ts';
import { type RuleSource, readSource } from './authorization-source.ts';
import type { Metadata } from './metadata.ts';
import { child, entry, headOf, items, locate, type MapNode, type Node } from './node.ts';
import {
  type Context,
  defaulted,
  listOf,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  required,
  text,
  unsupported,
} from './schema.ts';
import { readSelector, type WorkloadSelector } from './selector.ts';
import { readTargetRef, type TargetRef } from './target-ref.ts';

/** Who may do what to which workloads, in Istio's form and meaning. */
export type AuthorizationPolicyResource = {
  readonly apiVersion: 'security.istio.io/v1';
  readonly kind: 'AuthorizationPolicy';
  readonly metadata: Metadata;
  readonly spec: AuthorizationPolicySpec;
};

/** Without selector and target, every workload of the namespace; ALLOW without rules allows nothing. */
export type AuthorizationPolicySpec = {
  readonly selector?: WorkloadSelector;
  readonly targetRefs?: readonly TargetRef[];
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  /** One of the Mesh's `extensionProviders`; with `CUSTOM` and only there. */
  readonly provider?: { readonly name: string };
  readonly rules: readonly AuthorizationRule[];
};

/** Matches if one of `from`, one of `to` and all of `when` do; an absent list matches everything. */
export type AuthorizationRule = {
  readonly from?: readonly { readonly source: RuleSource }[];
  readonly to?: readonly { readonly operation: RuleOperation }[];
  readonly when?: readonly RuleCondition[];
};

/** The annotation by which a policy is evaluated and recorded, but not enforced. */
export const DRY_RUN_ANNOTATION = 'istio.io/dry-run';

const action = oneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']);

/** Reads one rule. */
export const readRule: Reader<AuthorizationRule> = object('a rule', {
  from: optional(
    listOf(
      object('an item of `from`', {
        source: required(readSource, 'write `- source: {principals: [...]}`'),
      }),
      { maxItems: 512 },
    ),
  ),
  to: optional(
    listOf(
      object('an item of `to`', {
        operation: required(readOperation, 'write `- operation: {methods: [...]}`'),
      }),
      { maxItems: 512 },
    ),
  ),
  when: optional(listOf(readCondition, { maxItems: 256 })),
});

const provider = object('provider', {
  name: required(text(), 'write the name of one of the `extensionProviders` of the Mesh'),
});

const fields = {
  selector: optional(readSelector),
  targetRefs: optional(listOf(readTargetRef, { maxItems: 16 })),
  action: defaulted(action, () => 'ALLOW' as const),
  rules: defaulted(listOf(readRule, { mayBeEmpty: true, maxItems: 4096 }), () => []),
  provider: optional(provider),
  targetRef: unsupported('write the list `targetRefs` instead'),
};

/** Whether a policy is to be tried rather than enforced; a word that Istio does not take for true leaves it enforced. */
export function isDryRun(metadata: Pick<Metadata, 'annotations'>): boolean {
  return TRUE_WORDS.has(metadata.annotations?.[DRY_RUN_ANNOTATION] ?? '');
}

/**
 * Reports a dry-run annotation that is neither true nor false: it would leave a policy enforced that
 * its author wanted to try, or the other way round. The words are those Istio takes.
 */
export function checkDryRun(metadata: Metadata | undefined, root: Node, context: Context): void {
  const value = metadata?.annotations?.[DRY_RUN_ANNOTATION];
  if (value === undefined) return;
  const action = child(child(root, 'spec'), 'action');
  const word = action?.kind === 'scalar' ? action.value : undefined;
  if (DRY_RUN_WORDS.has(value)) {
    if (word !== 'AUDIT' && word !== 'CUSTOM') return;
    context.report.error(locate(root, ['metadata', 'annotations', DRY_RUN_ANNOTATION]), {
      code: 'unsupported',
      message: `a policy with the action \`${word}\` cannot be in dry-run`,
      help: 'only `ALLOW` and `DENY` have a verdict to try out: remove the annotation',
    });
    return;
  }
  context.report.error(locate(root, ['metadata', 'annotations', DRY_RUN_ANNOTATION]), {
    code: 'bad_value',
    message: `${quote(value)} is neither true nor false`,
    help: 'write "true" to try the policy without enforcing it, "false" or nothing to enforce it',
  });
}

const TRUE_WORDS = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const DRY_RUN_WORDS = new Set([...TRUE_WORDS, '0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Reads the spec of an AuthorizationPolicy. */
export const readAuthorizationPolicySpec: Reader<AuthorizationPolicySpec> = object(
  'an AuthorizationPolicy',
  fields,
  checkSpec,
);

function checkSpec(value: Partial<ObjectOf<typeof fields>>, node: MapNode, context: Context): void {
  const selector = entry(node, 'selector');
  const targets = entry(node, 'targetRefs');
  if (selector !== undefined && targets !== undefined) {
    context.report.error(targets.keyRange, {
      code: 'conflicting_fields',
      message: '`targetRefs` and `selector` exclude each other',
      help: 'keep the one that says which workloads are meant',
    });
  }
  checkProvider(value, node, context);
  const isDeny = value.action === 'DENY';
  const rules = child(node, 'rules');
  if (isDeny && (rules === undefined || (rules.kind === 'list' && rules.items.length === 0))) {
    const at = entry(node, 'rules')?.keyRange ?? headOf(child(node, 'action') ?? node);
    context.report.error(at, {
      code: 'empty_value',
      message: 'a `DENY` policy without rules denies nothing',
      help: 'to deny everything write `rules: [{}]`',
    });
  }
  for (const item of items(rules)) checkUncoveredPorts(item, isDeny, context);
}

function checkProvider(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  const written = entry(node, 'provider');
  if (value.action === 'CUSTOM' && written === undefined) {
    context.report.error(headOf(child(node, 'action') ?? node), {
      code: 'missing_field',
      message: 'a `CUSTOM` policy names no provider',
      help: 'add `provider: {name: NAME}`, one of the `extensionProviders` of the Mesh',
    });
  }
  if (value.action !== 'CUSTOM' && written !== undefined) {
    context.report.error(written.keyRange, {
      code: 'conflicting_fields',
      message: '`provider` belongs to the action `CUSTOM`',
      help: 'write `action: CUSTOM`, or remove `provider`',
    });
  }
}

/**
 * Istio compares a host with the port the caller wrote after it, so a bare name in a condition that
 * keeps callers out lets them in by `name:port`.
 */
function checkUncoveredPorts(rule: Node, isDeny: boolean, context: Context): void {
  const field = isDeny ? 'hosts' : 'notHosts';
  for (const item of items(child(rule, 'to'))) {
    const hosts = items(child(child(item, 'operation'), field));
    const all = hosts.flatMap((host) => (host.kind === 'scalar' ? [String(host.value)] : []));
    for (const host of hosts) {
      const name = host.kind === 'scalar' ? String(host.value) : '*';
      const isCovered = all.some(
        (other) =>
          other.endsWith('*') &&
          name.startsWith(other.slice(0, -1)) &&
          `${name}:`.startsWith(other.slice(0, -1)),
      );
      if (/[*:]/.test(name) || isCovered) continue;
      context.report.warn(host.range, {
        code: 'host_port_missed',
        message: `${quote(name)} does not cover the same host with another port, as in ${quote(`${name}:8080`)}`,
        help: `add \`"${name.slice(0, 80)}:*"\` to the list`,
      });
    }
  }
}
