import { fail, ok, parseCidr, type Result } from '#lib';
import type { ConditionIr, Field, Pattern } from './ir.ts';
import { isTemplate, parseTemplate, templateMatches } from './template.ts';

/** A condition as authored: `values` are OR-ed. */
export type AuthoredCondition = {
  readonly field: Field;
  readonly negated: boolean;
  readonly values: readonly string[];
};

/** What a value is relative to: the mesh's own trust domain and the policy's namespace. */
export type PatternScope = { readonly trustDomain: string; readonly namespace: string };

/** Parses the values of one authored condition as Istio reads them; the error names the first bad one. */
export function parseCondition(
  authored: AuthoredCondition,
  scope: PatternScope,
): Result<ConditionIr, string> {
  const patterns: Pattern[] = [];
  for (const text of authored.values) {
    const parsed = parsePattern(authored.field, text, scope);
    if (!parsed.ok) return parsed;
    patterns.push(parsed.value);
  }
  return ok({ field: authored.field, negated: authored.negated, patterns });
}

/** Whether a pattern of a text field (principal, namespace, service account, method, host, path, SNI) matches its value. */
export function textMatches(pattern: Pattern, value: string): boolean {
  switch (pattern.kind) {
    case 'exact':
      return value === pattern.value;
    case 'prefix':
      return value.startsWith(pattern.value);
    case 'suffix':
      return value.length >= pattern.skip + pattern.value.length && value.endsWith(pattern.value);
    case 'present':
      return pattern.empty || value !== '';
    case 'template':
      return templateMatches(pattern.template, value);
    case 'pieces':
      return containsInOrder(value, pattern.pieces);
    case 'serviceAccount':
      return isServiceAccount(value, pattern.namespace, pattern.account);
    case 'block':
    case 'port':
      return false;
  }
}

const SCHEME = 'spiffe://';
const EVERY_MESH = 'cluster.local';

function parsePattern(field: Field, text: string, scope: PatternScope): Result<Pattern, string> {
  switch (field) {
    case 'principal':
      return ok(principal(text, scope.trustDomain));
    case 'namespace':
      return ok(namespace(text));
    case 'serviceAccount':
      return serviceAccount(text, scope.namespace);
    case 'ip':
      return block(text);
    case 'port':
      return port(text);
    case 'host':
      return ok(wildcard(text, { value: text.toLowerCase(), empty: true }));
    case 'method':
      return ok(wildcard(text, { empty: true }));
    case 'path':
      return isTemplate(text) ? template(text) : ok(wildcard(text, {}));
    case 'sni':
      return ok(wildcard(text, {}));
  }
}

type WildcardOptions = {
  readonly value?: string;
  readonly empty?: boolean;
  readonly scheme?: string;
};

/** A star counts at one end only, the front first; any other star is literal, as in Istio. */
function wildcard(text: string, options: WildcardOptions): Pattern {
  const { value = text, empty = false, scheme = '' } = options;
  if (value === '*') return { kind: 'present', text, empty };
  if (value.startsWith('*')) {
    return { kind: 'suffix', text, value: value.slice(1), skip: scheme.length };
  }
  if (value.endsWith('*')) return { kind: 'prefix', text, value: scheme + value.slice(0, -1) };
  return { kind: 'exact', text, value: scheme + value };
}

function principal(text: string, trustDomain: string): Pattern {
  return wildcard(text, { value: ownTrustDomain(text, trustDomain), scheme: SCHEME });
}

/**
 * `cluster.local` in a principal of all five parts means the mesh's own trust domain, whatever its
 * name; so does `td*` where it is a prefix of that name. `*td` stays the wildcard it is.
 */
function ownTrustDomain(text: string, trustDomain: string): string {
  const parts = text.split('/');
  const named = parts[0] ?? '';
  if (parts.length !== 5 || named.startsWith('*')) return text;
  const stands = named.endsWith('*') && trustDomain.startsWith(named.slice(0, -1));
  return named === EVERY_MESH || stands ? [trustDomain, ...parts.slice(1)].join('/') : text;
}

/** A star anywhere stands for any characters, slashes included, between `/ns/` and some later `/`. */
function namespace(text: string): Pattern {
  const pieces = `/ns/${text}/`.split('*');
  return { kind: 'pieces', text, pieces };
}

/** A bare account is one of the policy's own namespace. */
function serviceAccount(text: string, own: string): Result<Pattern, string> {
  const parts = text.split('/');
  if (parts.length > 2 || parts.includes('')) {
    return fail(`\`${text.slice(0, 80)}\` is not NAMESPACE/ACCOUNT or ACCOUNT`);
  }
  const [first = '', account] = parts;
  return account === undefined
    ? ok({ kind: 'serviceAccount', text, namespace: own, account: first })
    : ok({ kind: 'serviceAccount', text, namespace: first, account });
}

function block(text: string): Result<Pattern, string> {
  const parsed = parseCidr(text);
  return parsed.ok ? ok({ kind: 'block', text, block: parsed.value }) : parsed;
}

function port(text: string): Result<Pattern, string> {
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number > 65_535) {
    return fail(`\`${text.slice(0, 20)}\` is not a port between 0 and 65535`);
  }
  return ok({ kind: 'port', text, port: number });
}

function template(text: string): Result<Pattern, string> {
  const parsed = parseTemplate(text);
  return parsed.ok ? ok({ kind: 'template', text, template: parsed.value }) : parsed;
}

function containsInOrder(value: string, pieces: readonly string[]): boolean {
  let from = 0;
  for (const piece of pieces) {
    const at = value.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return true;
}

/** Istio's `spiffe://.+/ns/NAMESPACE/(.+/|)sa/ACCOUNT(/.+)?`, matched without a backtracking engine. */
function isServiceAccount(value: string, namespace: string, account: string): boolean {
  const marker = `/ns/${namespace}/`;
  const at = value.indexOf(marker, SCHEME.length + 1);
  if (at < 0 || !value.startsWith(SCHEME)) return false;
  // The slash that ends the marker may also begin `/sa/`; further on, `.+/` must not be empty.
  const start = at + marker.length - 1;
  const wanted = `/sa/${account}`;
  for (let i = value.indexOf(wanted, start); i >= 0; i = value.indexOf(wanted, i + 1)) {
    const end = i + wanted.length;
    const ends = end === value.length || (value[end] === '/' && end + 1 < value.length);
    if (ends && i !== start + 1) return true;
  }
  return false;
}
