import {
  type Claims,
  type ConditionIr,
  claimPathOf,
  type Field,
  fieldWords,
  headerNameOf,
  type RequestFacts,
  type TextPattern,
} from '#policy';
import { ANY_OTHER, OTHER, textClasses } from './call-classes.ts';

/** What a request says besides method, host and path, and how to call it; an empty label is nothing of it. */
export type CallVariant = {
  readonly label: string;
  readonly headers: NonNullable<RequestFacts['headers']>;
  readonly claims: Claims | undefined;
};

/** Ways in which requests differ in what rules read of headers and tokens; `open` says what was not tried. */
export type CallVariants = {
  readonly variants: readonly CallVariant[];
  readonly open: readonly string[];
};

// Each header and claim multiplies; past this, they are left as absent.
const MAX_VARIANTS = 120;

/** Variants for the headers, principals and claims that some conditions read; one without any is among them. */
export function callVariants(conditions: readonly ConditionIr[]): CallVariants {
  const fields = [...new Set(conditions.map(({ field }) => field))];
  const headers = fields.filter((field) => headerNameOf(field) !== undefined);
  const claims = fields.filter((field) => claimPathOf(field) !== undefined);
  const hasTokens = claims.length > 0 || fields.includes('requestPrincipal');
  const withHeaders = product(headers.map((field) => headerChoices(field, conditions)));
  const withTokens = hasTokens ? tokenChoices(claims, conditions) : [];
  const tokens: readonly Draft[] = [{ labels: [], lines: {}, claims: undefined }, ...withTokens];
  const open = [...headers, ...claims].map((field) => `several values of ${fieldWords(field)}`);
  if (withHeaders.length * tokens.length > MAX_VARIANTS) {
    const without: Draft = { labels: [], lines: {}, claims: undefined };
    return { variants: [variantOf(without)], open: ['rules that read many headers or claims'] };
  }
  const drafts = withHeaders.flatMap((header) => tokens.map((token) => joined(header, token)));
  return { variants: drafts.map(variantOf), open };
}

type Draft = {
  readonly labels: readonly string[];
  readonly lines: Readonly<Record<string, string>>;
  readonly claims: Claims | undefined;
};

const NOTHING: Draft = { labels: [], lines: {}, claims: undefined };

function headerChoices(field: Field, conditions: readonly ConditionIr[]): readonly Draft[] {
  const name = headerNameOf(field) ?? '';
  const { classes } = textClasses(field, conditions);
  const named = classes.map(({ label, value }) => ({
    ...NOTHING,
    labels: [`${name}: ${label}`],
    lines: { [name]: value },
  }));
  return [NOTHING, ...named];
}

function tokenChoices(
  fields: readonly Field[],
  conditions: readonly ConditionIr[],
): readonly Draft[] {
  const claims = product(fields.map((field) => claimChoices(field, conditions)));
  return principalChoices(conditions).flatMap((who) => claims.map((claim) => joined(who, claim)));
}

function claimChoices(field: Field, conditions: readonly ConditionIr[]): readonly Draft[] {
  const path = claimPathOf(field) ?? [];
  const { classes } = textClasses(field, conditions);
  const named = classes.map(({ label, value }) => ({
    ...NOTHING,
    labels: [`${path.join('.')}=${label}`],
    claims: nested(path, value),
  }));
  return [{ ...NOTHING, claims: {} }, ...named];
}

/** One token for each pair of issuer and subject that rules tell apart. */
function principalChoices(conditions: readonly ConditionIr[]): readonly Draft[] {
  const patterns = conditions.flatMap(({ field, patterns: all }) =>
    field === 'requestPrincipal' ? all : [],
  );
  const pairs = patterns.flatMap((one) => (one.kind === 'issuerSubject' ? [one] : []));
  const issuers = [...new Set([...pairs.map(({ issuer }) => instanceOf(issuer)), OTHER])];
  const subjects = [...new Set([...pairs.map(({ subject }) => instanceOf(subject)), OTHER])];
  return issuers.flatMap((iss) =>
    subjects.map((sub) => ({
      ...NOTHING,
      labels: [iss === OTHER && sub === OTHER ? `${ANY_OTHER} token` : `token of ${iss}/${sub}`],
      claims: { iss, sub },
    })),
  );
}

function instanceOf(pattern: TextPattern): string {
  if (pattern.kind === 'exact') return pattern.value;
  if (pattern.kind === 'prefix') return `${pattern.value}${OTHER}`;
  return pattern.kind === 'suffix' ? `${OTHER}${pattern.value}` : OTHER;
}

function product(choices: readonly (readonly Draft[])[]): readonly Draft[] {
  let all: readonly Draft[] = [NOTHING];
  for (const some of choices) {
    // Bounded here already: what goes beyond is dropped by the caller anyway.
    if (all.length * some.length > MAX_VARIANTS * 4) return [...all, ...all];
    all = all.flatMap((one) => some.map((other) => joined(one, other)));
  }
  return all;
}

function joined(a: Draft, b: Draft): Draft {
  const claims =
    a.claims === undefined && b.claims === undefined ? undefined : merged(a.claims, b.claims);
  return { labels: [...a.labels, ...b.labels], lines: { ...a.lines, ...b.lines }, claims };
}

function merged(a: Claims = {}, b: Claims = {}): Claims {
  const out: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const known = out[key];
    out[key] = isObject(known) && isObject(value) ? merged(known, value) : value;
  }
  return out;
}

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nested(path: readonly string[], value: string): Claims {
  const [first = '', ...rest] = path;
  return { [first]: rest.length === 0 ? value : nested(rest, value) };
}

function variantOf({ labels, lines, claims }: Draft): CallVariant {
  return {
    label: labels.join(', '),
    headers: {
      collect(name, into) {
        const value = Object.hasOwn(lines, name) ? lines[name] : undefined;
        if (value !== undefined) into.push(value);
      },
    },
    claims,
  };
}
