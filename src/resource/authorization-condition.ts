import { ATTESTATION_STRENGTHS, attestationRank } from '#identity';
import { parseCidr, parseTimeWindow } from '#lib';
import type { Problem } from './diagnostic.ts';
import { child, entry, headOf, items, type MapNode, type Node, type ScalarNode } from './node.ts';
import {
  type Context,
  listOf,
  type ObjectOf,
  object,
  optional,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';
import { misplacedStar } from './wildcard.ts';

/** One condition of `when`: any of `values`, and none of `notValues`. */
export type RuleCondition = {
  /** Istio's attribute, e.g. `request.headers[x-tenant]`, or one of ours: `source.attestation`, `request.time`. */
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
};

/** The keys of `when`, a bracket standing for any name. */
export const CONDITION_KEYS = [
  'request.headers[]',
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'source.attestation',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'request.auth.claims[]',
  'request.time',
  'destination.ip',
  'destination.port',
  'connection.sni',
] as const;

const values = optional(listOf(text()));

const fields = {
  key: required(text(checkKey), 'write for example `key: request.headers[x-tenant]`'),
  values,
  notValues: values,
};

/** Reads one item of `when`. */
export const readCondition: Reader<RuleCondition> = object(
  'an item of `when`',
  fields,
  checkCondition,
);

/** Whether a key reads what only an HTTP request has. */
export function isHttpKey(key: string): boolean {
  return key.startsWith('request.headers[') || key.startsWith('request.auth.');
}

function checkKey(key: string): Problem | undefined {
  const form = key.replace(/(?:\[[^\][]+\])+$/, '[]');
  const isNested = /\]\[/.test(key);
  if ((CONDITION_KEYS as readonly string[]).includes(form)) {
    if (isNested && form === 'request.headers[]') return unknownKey(key, 'a header has one name');
    return PSEUDO_HEADER.test(key) ? pseudoHeader(key) : undefined;
  }
  if (key.startsWith('experimental.')) {
    return {
      code: 'unsupported',
      message: `${quote(key)} reads what an Envoy filter wrote, and no Envoy runs here`,
      help: 'judge the header or the claim that the filter read',
    };
  }
  return unknownKey(
    key,
    `the keys are ${CONDITION_KEYS.map((known) => `\`${known}\``).join(', ')}`,
  );
}

function unknownKey(key: string, help: string): Problem {
  return { code: 'unknown_field', message: `${quote(key)} is no key of a condition`, help };
}

// `host` and these are how Envoy names parts of the request line.
const PSEUDO_HEADER = /^request\.headers\[:(?!authority\]$)/;

function pseudoHeader(key: string): Problem {
  return {
    code: 'unsupported',
    message: `${quote(key)} is no header`,
    help: 'judge methods and paths with `methods` and `paths` in `to`',
  };
}

function checkCondition(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  const { key } = value;
  if (entry(node, 'values') === undefined && entry(node, 'notValues') === undefined) {
    context.report.error(headOf(node), {
      code: 'missing_field',
      message: 'a condition needs `values` or `notValues`',
      help: 'for any value at all write `values: ["*"]`',
    });
  }
  if (key === undefined) return;
  for (const list of ['values', 'notValues']) {
    for (const item of items(child(node, list))) checkValue(key, item, context);
  }
}

function checkValue(key: string, node: Node, context: Context): void {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return;
  const problem = problemOf(key, node.value);
  if (problem !== undefined) {
    context.report.error(node.range, problem);
    return;
  }
  warnOf(key, node.value, node, context);
}

/** What Istio refuses; a value that could only never match is warned of. */
function problemOf(key: string, value: string): Problem | undefined {
  switch (key) {
    case 'source.ip':
    case 'remote.ip':
    case 'destination.ip': {
      const parsed = parseCidr(value);
      if (parsed.ok) return undefined;
      const help = 'write for example `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`';
      return { code: 'bad_value', message: parsed.error, help };
    }
    case 'destination.port':
      if (/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535) return undefined;
      return {
        code: 'bad_value',
        message: `${quote(value)} is not a port number`,
        help: 'write a number from 1 to 65535 in quotes, for example "80"',
      };
    case 'source.serviceAccount':
      if (/^[^/*]+(?:\/[^/*]+)?$/.test(value)) return undefined;
      return {
        code: value.includes('*') ? 'bad_wildcard' : 'bad_value',
        message: `${quote(value)} is not a service account`,
        help: 'write `NAMESPACE/NAME`; there are no wildcards',
      };
    case 'request.time': {
      const parsed = parseTimeWindow(value);
      if (parsed.ok) return undefined;
      const help = 'several windows are several values';
      return { code: 'bad_value', message: parsed.error, help };
    }
    case 'source.attestation':
      if (attestationRank(value) >= 0) return undefined;
      return {
        code: 'bad_value',
        message: `${quote(value)} is no strength of attestation`,
        help: `write one of ${ATTESTATION_STRENGTHS.join(', ')}; it means that or stronger`,
      };
    default:
      return undefined;
  }
}

function warnOf(key: string, value: string, node: ScalarNode, context: Context): void {
  if (key === 'source.principal' && value.startsWith('spiffe://')) {
    context.report.warn(node.range, {
      code: 'never_matches',
      message: 'a principal written with `spiffe://` never matches',
      help: `write ${quote(value.slice('spiffe://'.length))}`,
    });
    return;
  }
  if (key === 'request.auth.principal') {
    const problem = requestPrincipalProblem(value);
    if (problem !== undefined) context.report.warn(node.range, problem);
    return;
  }
  const star = key === 'source.namespace' ? undefined : misplacedStar(value);
  if (star !== undefined) context.report.warn(node.range, star);
}

/** What of a request principal can never match: Istio splits it at the last slash into issuer and subject. */
export function requestPrincipalProblem(value: string): Problem | undefined {
  const slash = value.lastIndexOf('/');
  const issuer = value.slice(0, slash);
  if (value.startsWith('*') || slash < 0 || !value.endsWith('*')) return undefined;
  if (!/^https?:\/?$/.test(issuer)) return undefined;
  return {
    code: 'never_matches',
    message: `${quote(value)} never matches: it means the issuer ${quote(issuer)} and a subject`,
    help: 'write the whole issuer, a slash, and the subject or `*`, for example `https://id.example/*`',
  };
}
