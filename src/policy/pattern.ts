import { ATTESTATION_STRENGTHS, attestationRank } from '#identity';
import { fail, ok, parseCidr, parseTimeWindow, type Result } from '#lib';
import type { Field } from './field.ts';
import type { ConditionIr, Pattern, TextPattern } from './ir.ts';
import { isTemplate, parseTemplate, templateMatches } from './template.ts';

/** A condition as authored: `values` are OR-ed. */
export type AuthoredCondition = {
  readonly field: Field;
  readonly negated: boolean;
  readonly values: readonly string[];
};

/** What a value is relative to: the mesh's own trust domain, its other names, and the policy's namespace. */
export type PatternScope = {
  readonly trustDomain: string;
  readonly trustDomainAliases?: readonly string[] | undefined;
  readonly namespace: string;
};

/** Parses the values of one authored condition as Istio reads them; the error names the first bad one. */
export function parseCondition(
  authored: AuthoredCondition,
  scope: PatternScope,
): Result<ConditionIr, string> {
  const patterns: Pattern[] = [];
  for (const text of authored.values) {
    if (authored.field === 'principal') {
      patterns.push(...principals(text, scope));
      continue;
    }
    const parsed = parsePattern(authored.field, text, scope);
    if (!parsed.ok) return parsed;
    patterns.push(parsed.value);
  }
  // A list that grew one by one has room to spare, which rules by the thousand would keep.
  return ok({ field: authored.field, negated: authored.negated, patterns: patterns.slice() });
}

/** Whether a pattern of a text field (neither address, port, token, time nor strength) matches one value. */
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
    case 'issuerSubject':
    case 'strength':
    case 'window':
      return false;
  }
}

/** Text as a header holds it and as requests are read: each byte of its UTF-8 one character. */
export function headerText(text: string): string {
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

const SCHEME = 'spiffe://';
const EVERY_MESH = 'cluster.local';

function parsePattern(field: Field, text: string, scope: PatternScope): Result<Pattern, string> {
  switch (field) {
    case 'namespace':
      return ok(namespace(text));
    case 'serviceAccount':
      return serviceAccount(text, scope.namespace);
    case 'ip':
    case 'remoteIp':
    case 'destinationIp':
      return block(text);
    case 'port':
      return port(text);
    case 'host':
      return ok(wildcard(text, { value: text.toLowerCase(), empty: true }));
    case 'method':
      return ok(wildcard(text, { empty: true }));
    case 'path':
      return isTemplate(text) ? template(text) : ok(wildcard(text, {}));
    case 'requestPrincipal':
      return ok(requestPrincipal(text));
    case 'attestation':
      return strength(text);
    case 'time':
      return window(text);
    default:
      // A header that is there but empty is matched by `*`; server names and claims must say something.
      if (!field.startsWith('header:')) return ok(wildcard(text, {}));
      return ok(wildcard(text, { value: headerText(text), empty: true }));
  }
}

type WildcardOptions = {
  readonly value?: string;
  readonly empty?: boolean;
  readonly scheme?: string;
};

/** A star counts at one end only, the front first; any other star is literal, as in Istio. */
function wildcard(text: string, options: WildcardOptions): TextPattern {
  const { value = text, empty = false, scheme = '' } = options;
  if (value === '*') return { kind: 'present', text, empty };
  if (value.startsWith('*')) {
    return { kind: 'suffix', text, value: value.slice(1), skip: scheme.length };
  }
  if (value.endsWith('*')) return { kind: 'prefix', text, value: scheme + value.slice(0, -1) };
  return { kind: 'exact', text, value: scheme + value };
}

/** One pattern for each name of the mesh's own trust domain that a principal of it may come with. */
function principals(text: string, scope: PatternScope): readonly Pattern[] {
  return ownNames(text, scope).map((value) => wildcard(text, { value, scheme: SCHEME }));
}

/**
 * In a principal of all five parts the mesh's own trust domain, `cluster.local`, an alias, or a
 * wildcard that stands for one of these, mean the trust domain and every alias. `*td` stays the
 * wildcard it is where it fits.
 */
function ownNames(text: string, scope: PatternScope): readonly string[] {
  const [named = '', ...rest] = text.split('/');
  if (rest.length !== 4 || named === '*') return [text];
  const domains = [scope.trustDomain, ...(scope.trustDomainAliases ?? [])];
  if (named !== EVERY_MESH && !domains.some((domain) => standsFor(named, domain))) return [text];
  const names = domains.map((domain) =>
    named.startsWith('*') && domain.endsWith(named.slice(1)) ? text : [domain, ...rest].join('/'),
  );
  return [...new Set(names)];
}

function standsFor(named: string, domain: string): boolean {
  if (named.startsWith('*')) return domain.endsWith(named.slice(1));
  if (named.endsWith('*')) return domain.startsWith(named.slice(0, -1));
  return named === domain;
}

/**
 * Issuer and subject, split at the last slash. Without one, `*x` is an end of the subject and
 * anything else an issuer; a star at one end counts for the part at that end only.
 */
function requestPrincipal(text: string): Pattern {
  const slash = text.lastIndexOf('/');
  const issuer = slash < 0 ? text : text.slice(0, slash);
  const subject = slash < 0 ? '' : text.slice(slash + 1);
  const parts = (a: TextPattern, b: TextPattern): Pattern => {
    return { kind: 'issuerSubject', text, issuer: a, subject: b };
  };
  const any = wildcard('*', {});
  if (text === '*') return parts(any, any);
  if (text.startsWith('*')) {
    if (slash < 0) return parts(any, wildcard(text, {}));
    return parts(wildcard(issuer, {}), literal(subject));
  }
  if (text.endsWith('*')) {
    if (slash < 0) return parts(wildcard(text, {}), any);
    return parts(literal(issuer), subject === '*' ? any : prefixOf(subject));
  }
  return parts(literal(issuer), literal(subject));
}

function prefixOf(text: string): TextPattern {
  return { kind: 'prefix', text, value: text.slice(0, -1) };
}

function literal(value: string): TextPattern {
  return { kind: 'exact', text: value, value };
}

function strength(text: string): Result<Pattern, string> {
  const rank = attestationRank(text);
  if (rank >= 0) return ok({ kind: 'strength', text, rank });
  return fail(`\`${text.slice(0, 40)}\` is none of ${ATTESTATION_STRENGTHS.join(', ')}`);
}

function window(text: string): Result<Pattern, string> {
  const parsed = parseTimeWindow(text);
  return parsed.ok ? ok({ kind: 'window', text, window: parsed.value }) : parsed;
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
