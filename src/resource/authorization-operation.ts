import type { Problem } from './diagnostic.ts';
import { foreignLetter } from './foreign-letter.ts';
import type { MapNode, ScalarNode } from './node.ts';
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

/** Conditions on the request; all that are there must hold, each by one of its values. */
export type RuleOperation = {
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  /** Without the query; a `*` at one end is a wildcard, `{*}` one segment, `{**}` any rest. */
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
  /** Compared without case, with the port where the caller wrote one. */
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  /** Port numbers as text, as Istio has them. */
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
};

/** The fields that exist in HTTP only. */
export const HTTP_FIELDS = [
  'methods',
  'notMethods',
  'paths',
  'notPaths',
  'hosts',
  'notHosts',
] as const;

const methods = optional(listOf(text(checkMethod)));
const paths = optional(listOf(text(checkPath)));
const hosts = optional(listOf(text(checkHost)));
const ports = optional(listOf(text(checkPort)));

const fields = {
  methods,
  notMethods: methods,
  paths,
  notPaths: paths,
  hosts,
  notHosts: hosts,
  ports,
  notPorts: ports,
};

/** Reads the operation of a rule. */
export const readOperation: Reader<RuleOperation> = object('operation', fields, checkOperation);

function checkOperation(
  _value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  if (node.entries.length > 0) return;
  context.report.error(node.range, {
    code: 'empty_value',
    message: 'the operation is empty',
    help: 'name what is meant; a rule for every request has no `to`',
  });
}

const COMMON_METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
]);

function checkMethod(value: string, node: ScalarNode, context: Context): undefined {
  const star = misplacedStar(value) ?? foreignLetter(value, 'method');
  if (star !== undefined) return context.report.warn(node.range, star) as undefined;
  const upper = value.toUpperCase();
  if (value === upper || !COMMON_METHODS.has(upper.replace('*', ''))) return;
  context.report.warn(node.range, {
    code: 'never_matches',
    message: `methods are compared with case: ${quote(value)} is not ${quote(upper)}`,
    help: `write ${quote(upper)}`,
  });
}

function checkPath(value: string, node: ScalarNode, context: Context): Problem | undefined {
  const foreign = foreignLetter(value, 'path');
  if (foreign !== undefined) context.report.warn(node.range, foreign);
  if (value.includes('{*}') || value.includes('{**}')) return templateProblem(value);
  const star = misplacedStar(value);
  if (star !== undefined) context.report.warn(node.range, star);
  else if (/[?#]/.test(value)) context.report.warn(node.range, queryInPath(value));
  else if (!/^[/*]/.test(value)) context.report.warn(node.range, relativePath(value));
  return undefined;
}

function queryInPath(value: string): Problem {
  return {
    code: 'never_matches',
    message: `${quote(value)} never matches: paths are compared without query and fragment`,
    help: `write ${quote(value.replace(/[?#].*$/s, ''))}`,
  };
}

function relativePath(value: string): Problem {
  return {
    code: 'never_matches',
    message: `${quote(value)} never matches: a path begins with \`/\``,
    help: `write ${quote(`/${value}`)}`,
  };
}

/** Templates are stricter than wildcards: a brace stands for whole segments, and nothing mixes with `*`. */
function templateProblem(value: string): Problem | undefined {
  const problem = (message: string): Problem => ({
    code: 'bad_value',
    message: `${quote(value)} is not a path template: ${message}`,
    help: 'write for example `/users/{*}/orders` or `/static/{**}`',
  });
  if (!value.startsWith('/')) return problem('it does not begin with `/`');
  const segments = value.slice(1).split('/');
  const rest = segments.indexOf('{**}');
  const isWild = (segment: string) => segment === '{*}' || segment === '{**}';
  if (segments.some((segment) => !isWild(segment) && /[{}*]/.test(segment)))
    return problem('`{*}` and `{**}` stand for whole segments');
  if (rest >= 0 && segments.slice(rest + 1).some(isWild))
    return problem('only plain segments follow `{**}`');
  return undefined;
}

function checkHost(value: string, node: ScalarNode, context: Context): undefined {
  const star = misplacedStar(value) ?? foreignLetter(value, 'host');
  if (star !== undefined) return context.report.warn(node.range, star) as undefined;
  if (!/[/\s@]/.test(value)) return;
  const bare = value.replace(/^[a-z]+:\/\//i, '').replace(/[/\s].*$/s, '');
  context.report.warn(node.range, {
    code: 'never_matches',
    message: `${quote(value)} is not a host and never matches`,
    help: bare === '' ? 'write a host, for example `api.example.com`' : `write ${quote(bare)}`,
  });
}

function checkPort(value: string): Problem | undefined {
  if (/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65535) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a port number`,
    help: 'write a number from 1 to 65535 in quotes, for example "80"',
  };
}
