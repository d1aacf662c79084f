import { parseSpiffeId } from '#identity';
import { parseCidr } from '#lib';
import { requestPrincipalProblem } from './authorization-condition.ts';
import type { Problem } from './diagnostic.ts';
import { isDnsLabel, splitAccount } from './names.ts';
import { entry, headOf, type MapNode, type ScalarNode } from './node.ts';
import {
  type Context,
  listOf,
  type ObjectOf,
  object,
  optional,
  quote,
  type Reader,
  text,
} from './schema.ts';
import { misplacedStar } from './wildcard.ts';

/** Conditions on the caller; all that are there must hold, each by one of its values. */
export type RuleSource = {
  /** SPIFFE IDs without `spiffe://`; a `*` at one end is a wildcard. */
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  /** A `*` anywhere stands for any characters. */
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  /** `ACCOUNT` of the policy's own namespace, or `NAMESPACE/ACCOUNT`. */
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  /** Addresses and CIDR blocks of the connection's peer. */
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  /** `ISSUER/SUBJECT` of the end user's token; a `*` at one end is a wildcard of that part. */
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  /** Addresses and CIDR blocks of the original caller, as trusted hops say in `x-forwarded-for`. */
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
};

const principals = optional(listOf(text(checkPrincipal)));
const namespaces = optional(listOf(text(checkNamespace)));
const serviceAccounts = optional(listOf(text(checkAccount), { maxItems: 16 }));
/** One IP address or CIDR block. */
export const cidrBlock = text(checkBlock);
const ipBlocks = optional(listOf(cidrBlock));
const requestPrincipals = optional(listOf(text(checkRequestPrincipal)));

const fields = {
  principals,
  notPrincipals: principals,
  namespaces,
  notNamespaces: namespaces,
  serviceAccounts,
  notServiceAccounts: serviceAccounts,
  ipBlocks,
  notIpBlocks: ipBlocks,
  requestPrincipals,
  notRequestPrincipals: requestPrincipals,
  remoteIpBlocks: ipBlocks,
  notRemoteIpBlocks: ipBlocks,
};

/** Reads the source of a rule. */
export const readSource: Reader<RuleSource> = object('source', fields, checkSource);

function checkSource(
  _value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  if (node.entries.length === 0) {
    context.report.error(node.range, {
      code: 'empty_value',
      message: 'the source is empty',
      help: 'name who is meant; a rule for every caller has no `from`',
    });
  }
  const accounts = entry(node, 'serviceAccounts') ?? entry(node, 'notServiceAccounts');
  const others = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'].map((key) =>
    entry(node, key),
  );
  if (accounts === undefined || others.every((other) => other === undefined)) return;
  context.report.error(accounts.keyRange, {
    code: 'conflicting_fields',
    message: `\`${accounts.key}\` cannot stand beside \`principals\` or \`namespaces\` in one source`,
    help: 'say it with one of them, or with two items of `from`',
  });
}

const SCHEME = 'spiffe://';

function checkPrincipal(value: string, node: ScalarNode, context: Context): Problem | undefined {
  if (value.startsWith(SCHEME)) {
    return {
      code: 'never_matches',
      message: 'a principal written with `spiffe://` never matches',
      help: `write ${quote(value.slice(SCHEME.length))}`,
    };
  }
  const star = misplacedStar(value);
  if (star !== undefined) context.report.warn(headOf(node), star);
  else if (!value.includes('*')) warnUnlessIdentity(value, node, context);
  return undefined;
}

function warnUnlessIdentity(value: string, node: ScalarNode, context: Context): void {
  const parsed = parseSpiffeId(SCHEME + value);
  if (parsed.ok && value.includes('/')) return;
  const guess = isDnsLabel(value)
    ? `cluster.local/ns/${context.namespace}/sa/${value}`
    : 'cluster.local/ns/NAMESPACE/sa/ACCOUNT';
  context.report.warn(node.range, {
    code: 'never_matches',
    message: `${quote(value)} is no identity of a workload and matches nobody`,
    help: `write the whole identity, for example \`${guess}\``,
  });
}

function checkNamespace(value: string, node: ScalarNode, context: Context): undefined {
  if (value.includes('*') || isDnsLabel(value)) return;
  context.report.warn(node.range, {
    code: 'never_matches',
    message: `${quote(value)} is not the name of a namespace and matches nobody`,
    help: 'namespaces have lower-case letters, digits and `-`',
  });
}

function checkAccount(value: string, _node: ScalarNode, context: Context): Problem | undefined {
  if (value.length <= 320 && splitAccount(value, context.namespace) !== undefined) return undefined;
  return {
    code: value.includes('*') ? 'bad_wildcard' : 'bad_value',
    message: `${quote(value)} is not a service account`,
    help: 'write `NAME` for one of this namespace, or `NAMESPACE/NAME`; there are no wildcards',
  };
}

function checkRequestPrincipal(value: string, node: ScalarNode, context: Context): undefined {
  const problem = requestPrincipalProblem(value);
  if (problem !== undefined) context.report.warn(node.range, problem);
}

function checkBlock(value: string): Problem | undefined {
  const parsed = parseCidr(value);
  if (parsed.ok) return undefined;
  return {
    code: 'bad_value',
    message: parsed.error,
    help: 'write for example `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`',
  };
}
