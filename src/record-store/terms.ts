import type { Block, ShapeField } from './block.ts';
import { BITS_OF_A_WORD, BITS_OF_AN_ID, encodeBloom, mayHold } from './bloom.ts';
import { type Condition, type FieldCondition, splitName } from './filter.ts';

/** What tells without reading a block that a query finds nothing in it. */
export type BlockIndex = {
  /** Of `field=value` and of pairs of them. */
  readonly terms: Buffer;
  /** Of trace ids. */
  readonly traces: Buffer;
  /** The least and the greatest value of each count. */
  readonly zones: Readonly<Record<string, readonly [number, number]>>;
};

/** The fields people combine: common ones together may be rare. */
const PAIRED = [
  'source.service',
  'destination.service',
  'verdict',
  'reason',
  'status',
  'method',
  'policy',
  'kept',
] as const;

/** Fields that a value is looked for in; counts have zones, and spans are found by their trace. */
const INDEXED: ReadonlySet<string> = new Set([
  ...PAIRED,
  'node',
  'kind',
  'reporter',
  'source.id',
  'destination.id',
  'destination.namespace',
  'destination.port',
  'source.ip',
  'grpc_status',
  'host',
  'path',
  'rule',
  'policy_version',
  'denial_id',
  'peer_serial',
  'connection.sni',
  'tls.version',
  'tls.group',
  'audit',
  'exception',
]);
const MAX_PATH_SEGMENTS = 6;
const MAX_TERMS = 50_000;

/** Indexes a whole block. */
export function indexBlock(block: Block): BlockIndex {
  const terms = new Set<string>();
  const add = (term: string): void => {
    if (terms.size < MAX_TERMS) terms.add(term);
  };
  const zones: Record<string, [number, number]> = {};
  const columns = new Map<string, ShapeField>();
  for (const shape of block.shapes) {
    const literals = new Map<string, unknown>();
    for (const field of shape) {
      const [name, kind, value] = field;
      if (kind !== 'literal') columns.set(`${kind} ${name}`, field);
      else if (isPlain(value)) literals.set(name, value);
    }
    for (const [name, value] of literals) add(termOf(name, value));
    for (const pair of pairsOf((name) => literals.get(name))) add(pair);
  }
  const traces = new Set<string>();
  for (const field of columns.values()) {
    const [name, kind] = field;
    if (kind === 'count') zones[name] = zoneOf(block.numbers(name, kind), zones[name]);
    if (name === 'trace_id')
      addEach(block.count, (at) => traces.add(String(block.value(field, at))));
    else if (kind === 'text') addTexts(name, block, add);
    else if (INDEXED.has(name))
      addEach(block.count, (at) => add(termOf(name, block.value(field, at))));
  }
  // A number that is no count lies outside the zone of those that are.
  for (const [name, kind] of columns.values()) if (kind === 'json') delete zones[name];
  // A filter that could not take everything must not say no.
  const known = terms.size < MAX_TERMS ? encodeBloom(terms, BITS_OF_A_WORD) : Buffer.alloc(0);
  return { terms: known, traces: encodeBloom(traces, BITS_OF_AN_ID), zones };
}

function addEach(count: number, add: (at: number) => void): void {
  for (let at = 0; at < count; at++) add(at);
}

function addTexts(name: string, block: Block, add: (term: string) => void): void {
  if (!INDEXED.has(name)) return;
  for (const text of block.texts(name)?.distinct ?? []) {
    add(termOf(name, text));
    if (name !== 'path') continue;
    for (const prefix of pathPrefixes(text)) add(`path^${prefix}`);
  }
}

/** `/a/b/c` has `/a` and `/a/b`: whole segments that something follows. */
function pathPrefixes(path: string): readonly string[] {
  const prefixes: string[] = [];
  for (let at = path.indexOf('/', 1); at > 0 && prefixes.length < MAX_PATH_SEGMENTS; ) {
    prefixes.push(path.slice(0, at));
    at = path.indexOf('/', at + 1);
  }
  return prefixes;
}

function zoneOf(
  values: Float64Array | undefined,
  before: readonly [number, number] = [Number.MAX_SAFE_INTEGER, 0],
): [number, number] {
  let [min, max] = before;
  for (const value of values ?? []) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return [min, max];
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}

function termOf(name: string, value: unknown): string {
  return `${name}=${String(value)}`;
}

function pairsOf(read: (name: string) => unknown): readonly string[] {
  const pairs: string[] = [];
  for (const [i, first] of PAIRED.entries()) {
    const a = read(first);
    if (a === undefined) continue;
    for (const second of PAIRED.slice(i + 1)) {
      const b = read(second);
      if (b !== undefined) pairs.push(`${termOf(first, a)}\n${termOf(second, b)}`);
    }
  }
  return pairs;
}

/** What a block must hold for a query to find something in it. */
export type Needs = {
  readonly terms: readonly string[];
  readonly traces: readonly string[];
  readonly counts: readonly FieldCondition[];
};

/** What follows from conditions. */
export function needsOf(where: readonly Condition[]): Needs {
  const equal = new Map<string, unknown>();
  const terms: string[] = [];
  const traces: string[] = [];
  const counts: FieldCondition[] = [];
  for (const condition of where) {
    for (const [name, value] of equalities(condition)) equal.set(name, value);
    if (condition.kind !== 'field') continue;
    const { field, operator, value } = condition;
    if (field === 'path' && operator === 'prefix') {
      const whole = String(value).lastIndexOf('/');
      if (whole > 0) terms.push(`path^${String(value).slice(0, whole)}`);
    }
    if (['gt', 'ge', 'lt', 'le'].includes(operator)) counts.push(condition);
  }
  for (const [name, value] of equal) {
    if (name === 'trace_id') traces.push(String(value));
    else if (INDEXED.has(name)) terms.push(termOf(name, value));
  }
  terms.push(...pairsOf((name) => equal.get(name)));
  return { terms, traces, counts };
}

function equalities(condition: Condition): readonly (readonly [string, unknown])[] {
  if (condition.kind === 'field') {
    const { field, operator, value } = condition;
    return operator === 'eq' && value !== null ? [[field, value]] : [];
  }
  if (condition.kind === 'text') return [];
  const side = condition.kind === 'from' ? 'source' : 'destination';
  if (condition.name.startsWith('spiffe://')) return [[`${side}.id`, condition.name]];
  const { namespace, service } = splitName(condition.name);
  const called = side === 'destination' && namespace !== undefined;
  return [
    [`${side}.service`, service],
    ...(called ? [['destination.namespace', namespace] as const] : []),
  ];
}

/** Whether a block may hold what is needed. */
export function mayMatch(index: BlockIndex, needs: Needs): boolean {
  return (
    needs.terms.every((term) => mayHold(index.terms, term)) &&
    needs.traces.every((trace) => mayHold(index.traces, trace)) &&
    needs.counts.every((condition) => zoneMeets(index.zones[condition.field], condition))
  );
}

/** Whether some value between the least and the greatest meets a comparison; a field without a zone may. */
export function zoneMeets(
  zone: readonly [number, number] | undefined,
  { operator, value }: FieldCondition,
): boolean {
  if (zone === undefined || typeof value !== 'number') return true;
  const [min, max] = zone;
  if (operator === 'gt') return max > value;
  if (operator === 'ge') return max >= value;
  return operator === 'lt' ? min < value : min <= value;
}
