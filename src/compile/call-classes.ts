import { parseSpiffeId, type SpiffeId, type TrustDomain, workloadSpiffeId } from '#identity';
import { canonicalPath } from '#lib';
import {
  type ConditionIr,
  claimPathOf,
  type Field,
  headerNameOf,
  type Pattern,
  type PolicyIr,
  textMatches,
} from '#policy';

/** Values of one attribute that no rule tells apart: one of them, and what to call them all. */
export type CallClass<T> = { readonly label: string; readonly value: T };

/** All classes of an attribute; `complete` if every possible value lies in one of them. */
export type CallClasses<T> = {
  readonly classes: readonly CallClass<T>[];
  readonly complete: boolean;
};

/** Every condition of some policies, whatever part of a rule it stands in. */
export function conditionsOf(policies: readonly PolicyIr[]): readonly ConditionIr[] {
  return policies.flatMap(({ rules, exceptions = [] }) =>
    [...rules, ...exceptions.flatMap((exception) => exception.rules)].flatMap(
      ({ sources, operations, when }) => [...sources.flat(), ...operations.flat(), ...when],
    ),
  );
}

/**
 * The classes of a text attribute. A value is told apart only by which patterns match it, so for
 * exact values, prefixes and suffixes one value for each, for each pair of a prefix and a suffix, and
 * one that none names, are all there are.
 */
export function textClasses(field: Field, conditions: readonly ConditionIr[]): CallClasses<string> {
  const patterns = patternsOf(field, conditions);
  const slash = field === 'path' ? '/' : '';
  const prefixes = [slash, ...valuesOf(patterns, 'prefix')];
  const suffixes = ['', ...valuesOf(patterns, 'suffix')];
  const templates = patterns.flatMap((pattern) =>
    pattern.kind === 'template' ? [instanceOf(pattern.text)] : [],
  );
  const candidates: CallClass<string>[] = [
    ...valuesOf(patterns, 'exact').map((value) => ({ value, label: value })),
    ...templates,
    ...prefixes.flatMap((prefix) =>
      suffixes.map((suffix) => ({
        value: `${prefix}${OTHER}${suffix}`,
        label: prefix === slash && suffix === '' ? ANY_OTHER : `${prefix}*${suffix}`,
      })),
    ),
  ].filter(({ value }) => field !== 'path' || isCanonical(value));
  return {
    classes: distinct(candidates, patterns, ({ value }) => value),
    complete: templates.length === 0,
  };
}

/** What the classes of callers are made of besides the rules. */
export type KnownCallers = {
  readonly trustDomain: TrustDomain;
  /** Identities that exist; they give classes their names. */
  readonly ids: readonly SpiffeId[];
};

const CALLER_FIELDS: readonly Field[] = ['principal', 'namespace', 'serviceAccount'];

/** The classes of callers, the one without identity last. */
export function callerClasses(
  conditions: readonly ConditionIr[],
  { trustDomain, ids }: KnownCallers,
): CallClasses<SpiffeId | undefined> {
  const patterns = CALLER_FIELDS.flatMap((field) => patternsOf(field, conditions));
  const named = [...patterns.flatMap((pattern) => identitiesIn(pattern, trustDomain)), ...ids];
  const parts = (of: (id: SpiffeId) => string | undefined): readonly string[] => [
    ...new Set(named.flatMap((id) => of(id) ?? [])),
    OTHER,
  ];
  const namespaces = [
    ...parts((id) => id.namespace),
    ...patterns.flatMap((pattern) =>
      pattern.kind === 'pieces' ? [namespaceOf(pattern.text)] : [],
    ),
  ];
  const accounts = parts((id) => id.serviceAccount);
  const domains = [...new Set([trustDomain, ...named.map((id) => id.trustDomain)])];
  const made = domains.flatMap((domain) =>
    namespaces.flatMap((namespace) =>
      accounts.flatMap((account) => identity(domain, namespace, account)),
    ),
  );
  const known = new Set(ids.map(({ text }) => text));
  const callers = [...ids, ...named, ...made].map((value) => ({
    value,
    label: callerLabel(value, trustDomain),
  }));
  const classes = distinct(
    callers,
    patterns,
    ({ value }) => value.text,
    (alike) => labelOfAll(alike, known),
  );
  const complete = patterns.every(
    ({ kind, text }) => kind === 'serviceAccount' || kind === 'exact' || isWholePart(kind, text),
  );
  return {
    classes: [...classes, { value: undefined, label: 'a caller without identity' }],
    complete,
  };
}

/** Whether questions about classes differ in a field; of others nothing is proven. */
export function isVaried(field: Field): boolean {
  return VARIED.has(field) || headerNameOf(field) !== undefined || claimPathOf(field) !== undefined;
}

const VARIED: ReadonlySet<Field> = new Set<Field>([
  ...CALLER_FIELDS,
  'method',
  'path',
  'host',
  'port',
  'requestPrincipal',
]);

/** What stands for every value that no rule names, and what to call it. */
export const OTHER = 'any-other';
export const ANY_OTHER = 'any other';

function patternsOf(field: Field, conditions: readonly ConditionIr[]): readonly Pattern[] {
  return conditions.flatMap((condition) => (condition.field === field ? condition.patterns : []));
}

function valuesOf(
  patterns: readonly Pattern[],
  kind: 'exact' | 'prefix' | 'suffix',
): readonly string[] {
  return [
    ...new Set(patterns.flatMap((pattern) => (pattern.kind === kind ? [pattern.value] : []))),
  ];
}

function instanceOf(template: string): CallClass<string> {
  const value = template.replaceAll('{**}', `${OTHER}/${OTHER}`).replaceAll('{*}', OTHER);
  return { value, label: template };
}

// What is strictly canonical is so in every mode.
function isCanonical(path: string): boolean {
  const canonical = canonicalPath(path, 'STRICT');
  return canonical.ok && canonical.value === path;
}

/** One of each set of values that the same patterns match. */
function distinct<T>(
  candidates: readonly CallClass<T>[],
  patterns: readonly Pattern[],
  textOf: (one: CallClass<T>) => string,
  labelOf: (alike: readonly CallClass<T>[]) => string = (alike) => alike[0]?.label ?? '',
): readonly CallClass<T>[] {
  const unique = [...new Map(candidates.map((one) => [textOf(one), one])).values()];
  const alike = Map.groupBy(unique, (one) =>
    patterns.map((pattern) => (textMatches(pattern, textOf(one)) ? '1' : '0')).join(''),
  );
  return Array.from(alike.values(), (all) => ({
    value: (all[0] as CallClass<T>).value,
    label: labelOf(all),
  }));
}

function identitiesIn(pattern: Pattern, trustDomain: TrustDomain): readonly SpiffeId[] {
  if (pattern.kind === 'serviceAccount') {
    return identity(trustDomain, pattern.namespace, pattern.account);
  }
  if (pattern.kind !== 'exact' && pattern.kind !== 'prefix' && pattern.kind !== 'suffix') return [];
  const parsed = parseSpiffeId(pattern.value);
  if (parsed.ok) return [parsed.value];
  const [, namespace] = /\/ns\/([^/]+)/.exec(pattern.value) ?? [];
  const [, account] = /\/sa\/([^/]+)$/.exec(pattern.value) ?? [];
  return identity(trustDomain, namespace ?? OTHER, account ?? OTHER);
}

function namespaceOf(text: string): string {
  return text.replaceAll('*', OTHER);
}

function identity(domain: TrustDomain, namespace: string, account: string): readonly SpiffeId[] {
  try {
    return [workloadSpiffeId(domain, namespace, account)];
  } catch {
    // What a pattern names cannot be a part of an identity, so no caller has it.
    return [];
  }
}

function callerLabel(id: SpiffeId, own: TrustDomain): string {
  const { namespace, serviceAccount, trustDomain } = id;
  const anywhere = namespace === OTHER || namespace === undefined;
  if (serviceAccount === OTHER) return anywhere ? ANY_OTHER : `any other in ${namespace}`;
  const name = anywhere
    ? `${serviceAccount} of any other namespace`
    : `${namespace}/${serviceAccount}`;
  return trustDomain === own ? name : `${name} of ${trustDomain}`;
}

/** Callers that exist are named; the rest of their class is one word. */
function labelOfAll(alike: readonly CallClass<SpiffeId>[], known: ReadonlySet<string>): string {
  const real = alike.filter(({ value }) => known.has(value.text)).map(({ label }) => label);
  const rest = alike.filter(({ value }) => !known.has(value.text)).map(({ label }) => label);
  const widest =
    rest.find((label) => label === ANY_OTHER) ?? rest.find((label) => label.startsWith(ANY_OTHER));
  const named = real.length > 0 ? real : widest === undefined ? rest : [];
  return [
    ...named.slice(0, 8),
    ...(named.length > 8 ? ['…'] : []),
    ...(widest === undefined ? [] : [widest]),
  ].join(', ');
}

/** Whether a wildcard ends where a part of an identity does, so that the candidates lie on both sides of it. */
function isWholePart(kind: Pattern['kind'], text: string): boolean {
  if (kind === 'present') return true;
  if (kind === 'pieces') return !text.includes('*');
  if (kind === 'prefix') return /(?:^|\/)(?:ns|sa|ns\/[^/*]+|[^/*]+)\/\*$/.test(text);
  return kind === 'suffix' && /^\*\/(?:sa\/[^/*]+|ns\/[^/*]+\/sa\/[^/*]+)$/.test(text);
}
