import { pathShapes } from './path-shape.ts';

/** Calls that were alike, as records tell them. `path` is null and `method` too on a TCP port. */
export type ObservedCall = {
  readonly sourceId: string | null;
  readonly method: string | null;
  readonly path: string | null;
  readonly port: number;
  readonly verdict: 'allow' | 'deny';
  readonly count: number;
  /** ISO 8601. */
  readonly first: string;
  readonly last: string;
  readonly traceId: string | null;
};

/** The workload to suggest a policy for. */
export type SuggestedFor = {
  readonly namespace: string;
  readonly service: string;
  readonly since: string;
};

/** A policy as YAML with its evidence as comments; `yaml` is undefined where nothing could be allowed. */
export type Suggestion = {
  readonly yaml: string | undefined;
  readonly calls: number;
  readonly callers: number;
  /** What was seen and is not allowed by it, in sentences. */
  readonly leftOut: readonly string[];
};

/**
 * The least ALLOW policy that allows the calls that were allowed: a rule a caller, exact methods,
 * ports and paths; a path segment becomes `{*}` only where several identifiers were seen in its place.
 * SECURITY: what was denied stays so, and so does whoever proved no identity.
 */
export function suggestPolicy(calls: readonly ObservedCall[], about: SuggestedFor): Suggestion {
  const denied = calls.filter(({ verdict }) => verdict === 'deny');
  const anonymous = calls.filter((call) => call.verdict === 'allow' && call.sourceId === null);
  const named = calls.filter((call) => call.verdict === 'allow' && call.sourceId !== null);
  const unwritable = named.filter(({ path }) => path !== null && !isWritable(path));
  const kept = named.filter(({ path }) => path === null || isWritable(path));
  const leftOut = [
    ...said(denied, 'that policy denied'),
    ...said(anonymous, 'of callers without identity'),
    ...said(unwritable, 'whose path no policy can name exactly'),
  ];
  const byCaller = [...Map.groupBy(kept, ({ sourceId }) => sourceId ?? '')].sort(byKey);
  const facts = { calls: sum(kept), callers: byCaller.length, leftOut };
  if (byCaller.length === 0) return { yaml: undefined, ...facts };
  const lines = [
    `# Allows what ${about.namespace}/${about.service} was seen to serve since ${comment(about.since)}: ${plural(facts.calls)} of ${facts.callers} ${facts.callers === 1 ? 'caller' : 'callers'},`,
    `# from ${comment(earliest(kept))} to ${comment(latest(kept))}. Read it before you apply it: it is what happened, not what ought to.`,
    ...leftOut.map((sentence) => `# Not allowed: ${sentence}.`),
    'apiVersion: security.istio.io/v1',
    'kind: AuthorizationPolicy',
    'metadata:',
    `  name: ${about.service.slice(0, 50)}-observed`,
    `  namespace: ${about.namespace}`,
    'spec:',
    '  selector:',
    '    matchLabels:',
    `      app: ${about.service}`,
    '  action: ALLOW',
    '  rules:',
    ...byCaller.flatMap(([caller, own]) => ruleLines(caller, own)),
  ];
  return { yaml: `${lines.join('\n')}\n`, ...facts };
}

function ruleLines(caller: string, calls: readonly ObservedCall[]): readonly string[] {
  const operations = operationsOf(calls);
  const trace = calls.findLast(({ traceId }) => traceId !== null)?.traceId;
  const example = trace === undefined || trace === null ? '' : `, e.g. trace ${comment(trace)}`;
  return [
    `    # ${plural(sum(calls))}, the last at ${comment(latest(calls))}${example}`,
    '    - from:',
    '        - source:',
    `            principals: [${quoted(caller.slice('spiffe://'.length))}]`,
    '      to:',
    ...operations.flatMap(operationLines),
  ];
}

type Operation = {
  readonly port: number;
  readonly methods: readonly string[];
  readonly paths: readonly { readonly path: string; readonly count: number; readonly of: number }[];
};

/** Paths that were asked for with the same methods on the same port share an operation. */
function operationsOf(calls: readonly ObservedCall[]): readonly Operation[] {
  const http = calls.filter(({ path }) => path !== null);
  const shapeOf = pathShapes(new Set(http.map(({ path }) => path ?? '')));
  const byShape = Map.groupBy(http, ({ port, path }) => `${port} ${shapeOf(path ?? '')}`);
  const shaped = Array.from(byShape, ([key, alike]) => ({
    port: alike[0]?.port ?? 0,
    path: key.slice(key.indexOf(' ') + 1),
    methods: [...new Set(alike.map(({ method }) => method ?? ''))].sort(),
    count: sum(alike),
    of: new Set(alike.map(({ path }) => path)).size,
  }));
  const grouped = Map.groupBy(shaped, ({ port, methods }) => `${port} ${methods.join(' ')}`);
  const requests = [...grouped].sort(byKey).map(([, alike]) => ({
    port: alike[0]?.port ?? 0,
    methods: alike[0]?.methods ?? [],
    paths: alike.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
  }));
  const ports = new Set(calls.filter(({ path }) => path === null).map(({ port }) => port));
  const connections = [...ports].map((port) => ({ port, methods: [], paths: [] }));
  return [...requests, ...connections];
}

function operationLines({ port, methods, paths }: Operation): readonly string[] {
  const asked = paths.flatMap(({ path, count, of }) => [
    `              # ${plural(count)}${of > 1 ? ` to ${of} different paths` : ''}`,
    `              - ${quoted(path)}`,
  ]);
  return [
    '        - operation:',
    `            ports: ["${port}"]`,
    ...(methods.length === 0 ? [] : [`            methods: [${methods.map(quoted).join(', ')}]`]),
    ...(asked.length === 0 ? [] : ['            paths:', ...asked]),
  ];
}

/** A `*` at an end or a brace would make a pattern of what was one path. */
function isWritable(path: string): boolean {
  return !/^\*|\*$|[{}]/.test(path) && path.length <= 2048;
}

function said(calls: readonly ObservedCall[], what: string): readonly string[] {
  return calls.length === 0 ? [] : [`${plural(sum(calls))} ${what}`];
}

function sum(calls: readonly ObservedCall[]): number {
  return calls.reduce((total, { count }) => total + count, 0);
}

function earliest(calls: readonly ObservedCall[]): string {
  return calls.reduce((least, { first }) => (first < least ? first : least), calls[0]?.first ?? '');
}

function latest(calls: readonly ObservedCall[]): string {
  return calls.reduce((most, { last }) => (last > most ? last : most), '');
}

function plural(count: number): string {
  return `${count} ${count === 1 ? 'call' : 'calls'}`;
}

// YAML 1.2, section 1.3: a JSON text is a YAML scalar.
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** SECURITY: text of other people must not end the comment it is written into. */
function comment(text: string): string {
  return text.replaceAll(/[^ -~]/g, '?').slice(0, 100);
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : Number(a[0] > b[0]);
}
