import { type Condition, type FieldCondition, splitName } from './filter.ts';
import type { Stretch } from './postgres-search.ts';
import type { RecordQuery } from './record-store.ts';

/** A piece of SQL and the values of its `$1`, `$2` … */
export type Where = { readonly sql: string; readonly values: readonly (string | number)[] };

/** Fields with a column and an index of their own. */
const COLUMNS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    node: 'node',
    'source.service': 'source_service',
    'destination.service': 'service',
    verdict: 'verdict',
    path: 'path',
    trace_id: 'trace_id',
    denial_id: 'denial_id',
  }),
);

/** Counts with an index; each record has `duration_us`, and a `status` or null. */
const COUNTS: ReadonlyMap<string, string> = new Map(
  Object.entries({ status: 'status', duration_us: "(fields ->> 'duration_us')::bigint" }),
);

const NUMBER_SIGNS = { gt: '>', ge: '>=', lt: '<', le: '<=' } as const;

/**
 * The condition of a question. SECURITY: the text is made of our own words alone; whatever was asked, names of fields
 * included, goes in as values.
 */
export function whereOf({ sinceMs, untilMs, where = [] }: RecordQuery, window?: Stretch): Where {
  const builder = new WhereBuilder();
  if (window !== undefined) {
    builder.add(`id >= ${builder.count(window.fromId)} AND id < ${builder.count(window.untilId)}`);
  }
  if (sinceMs !== undefined) builder.add(`time_ms >= ${builder.count(Math.ceil(sinceMs))}`);
  if (untilMs !== undefined) builder.add(`time_ms < ${builder.count(Math.ceil(untilMs))}`);
  for (const condition of where) builder.condition(condition);
  return builder.finish();
}

// A number as records write it.
const COUNT = /^(?:0|[1-9]\d{0,14})$/;
const MOST = Number.MAX_SAFE_INTEGER;

class WhereBuilder {
  readonly #parts: string[] = [];
  readonly #values: (string | number)[] = [];

  /** A placeholder for a value. */
  value(value: string | number): string {
    this.#values.push(value);
    return `$${this.#values.length}${typeof value === 'number' ? '::numeric' : '::text'}`;
  }

  /** A placeholder for a whole number, of the type that ids, times and counts have: no other finds their indexes. */
  count(value: number): string {
    this.#values.push(Math.max(-MOST, Math.min(MOST, value)));
    return `$${this.#values.length}::bigint`;
  }

  add(sql: string): void {
    this.#parts.push(`(${sql})`);
  }

  finish(): Where {
    const sql = this.#parts.length === 0 ? 'true' : this.#parts.join(' AND ');
    return { sql, values: this.#values };
  }

  condition(condition: Condition): void {
    if (condition.kind === 'field') return this.#field(condition);
    if (condition.kind === 'text') {
      const text = this.value(condition.text.toLowerCase());
      // As the other stores do: every value by itself, not the names and the signs between them.
      return this.add(
        `position(${text} IN lower(node)) > 0
         OR EXISTS (SELECT 1 FROM jsonb_each_text(fields) WHERE position(${text} IN lower(value)) > 0)`,
      );
    }
    this.#side(condition.kind === 'from' ? 'source' : 'destination', condition.name);
  }

  #text(field: string): string {
    return COLUMNS.get(field) ?? `fields ->> ${this.value(field)}`;
  }

  #side(side: 'source' | 'destination', name: string): void {
    if (name.startsWith('spiffe://')) {
      return this.add(`${this.#text(`${side}.id`)} = ${this.value(name)}`);
    }
    const { namespace, service } = splitName(name);
    this.add(`${this.#text(`${side}.service`)} = ${this.value(service)}`);
    if (namespace === undefined) return;
    if (side === 'destination') {
      return this.add(`${this.#text('destination.namespace')} = ${this.value(namespace)}`);
    }
    this.add(`position(${this.value(`/ns/${namespace}/`)} IN ${this.#text('source.id')}) > 0`);
  }

  #field({ field, operator, value }: FieldCondition): void {
    if (operator === 'eq' || operator === 'ne') {
      const not = operator === 'ne' ? 'NOT ' : '';
      if (value === null) return this.add(`${not}(${this.#text(field)} IS NULL)`);
      const count = COUNTS.get(field);
      if (count !== undefined && operator === 'eq' && COUNT.test(String(value))) {
        return this.add(`${count} = ${this.count(Number(value))}`);
      }
      // `IS NOT DISTINCT FROM` takes no index, and a comparison with null is neither.
      const equal = `${this.#text(field)} = ${this.value(String(value))}`;
      return this.add(operator === 'eq' ? equal : `(${equal}) IS NOT TRUE`);
    }
    if (operator === 'prefix') {
      const escaped = String(value).replaceAll(/[\\%_]/g, String.raw`\$&`);
      return this.add(`${this.#text(field)} LIKE ${this.value(`${escaped}%`)}`);
    }
    if (operator === 'contains') {
      return this.add(`position(${this.value(String(value))} IN ${this.#text(field)}) > 0`);
    }
    const column = COUNTS.get(field);
    if (column !== undefined) return this.#count(column, operator, Number(value));
    const name = this.value(field);
    this.add(
      `CASE WHEN jsonb_typeof(fields -> ${name}) = 'number'
       THEN (fields ->> ${name})::numeric ${NUMBER_SIGNS[operator]} ${this.value(Number(value))} END`,
    );
  }

  /** Between whole numbers there is nothing: `> 4.5` is `> 4`. */
  #count(column: string, operator: keyof typeof NUMBER_SIGNS, value: number): void {
    const isUp = operator === 'ge' || operator === 'lt';
    const whole = this.count(isUp ? Math.ceil(value) : Math.floor(value));
    this.add(`${column} ${NUMBER_SIGNS[operator]} ${whole}`);
  }
}
