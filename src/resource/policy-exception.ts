import { type AuthorizationRule, readRule } from './authorization-policy.ts';
import type { Problem } from './diagnostic.ts';
import type { Metadata } from './metadata.ts';
import { dnsName } from './names.ts';
import { child, items, type MapNode } from './node.ts';
import {
  type Context,
  listOf,
  type ObjectOf,
  object,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';

/** Calls that one DENY policy leaves alone until an instant, with who answers for that. Palisade's own kind. */
export type PolicyExceptionResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'PolicyException';
  readonly metadata: Metadata;
  readonly spec: PolicyExceptionSpec;
};

/** The policy is one of the exception's own namespace, so no namespace excepts itself from the root's. */
export type PolicyExceptionSpec = {
  /** The name of a DENY AuthorizationPolicy. */
  readonly policy: string;
  /** Who answers for it. */
  readonly owner: string;
  /** Where it was asked for and granted. */
  readonly ticket: string;
  /** An instant, ISO 8601 in UTC; from then on it is none. */
  readonly expiresAt: string;
  /** The calls, in the form of an AuthorizationPolicy's rules. */
  readonly rules: readonly AuthorizationRule[];
};

const fields = {
  policy: required(dnsName, 'write the name of a DENY AuthorizationPolicy of this namespace'),
  owner: required(text(), 'write who answers for it, for example a team'),
  ticket: required(text(), 'write where it was granted, for example a ticket'),
  expiresAt: required(text(checkInstant), 'write for example `expiresAt: "2026-12-31T00:00:00Z"`'),
  rules: required(listOf(readRule, { maxItems: 256 }), 'write the calls that are excepted'),
};

/** Reads the spec of a PolicyException. */
export const readPolicyExceptionSpec: Reader<PolicyExceptionSpec> = object(
  'a PolicyException',
  fields,
  checkRules,
);

function checkInstant(value: string): Problem | undefined {
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z$/.test(value);
  if (isInstant && !Number.isNaN(Date.parse(value))) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is no instant in UTC`,
    help: 'write for example "2026-12-31T00:00:00Z"',
  };
}

function checkRules(
  _value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  for (const item of items(child(node, 'rules'))) {
    if (item.kind !== 'map' || item.entries.length > 0) continue;
    context.report.error(item.range, {
      code: 'empty_value',
      message: 'an exception for every call would switch the policy off',
      help: 'name the calls; to switch a policy off, delete it or put it in dry-run',
    });
  }
}
