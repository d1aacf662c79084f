import { fail, ok, type Result } from '#lib';

/** How a condition compares; `prefix` and `contains` compare text, `gt` … `le` numbers. */
export type Operator = 'eq' | 'ne' | 'prefix' | 'contains' | 'gt' | 'ge' | 'lt' | 'le';

/** One field of a record compared; an absent field is null. `value` null: the field is null. */
export type FieldCondition = {
  readonly kind: 'field';
  readonly field: string;
  readonly operator: Operator;
  readonly value: string | number | null;
};

/**
 * What a record must be: a field, a caller or a called service (a SPIFFE ID, `SERVICE` or `NAMESPACE/SERVICE`), or
 * some text anywhere in it, in any case.
 */
export type Condition =
  | FieldCondition
  | { readonly kind: 'from' | 'to'; readonly name: string }
  | { readonly kind: 'text'; readonly text: string };

/** Reads a field of a record: undefined where it has none. */
export type FieldReader = (field: string) => unknown;

const NUMBER_OPERATORS: readonly (readonly [string, Operator])[] = [
  ['>=', 'ge'],
  ['<=', 'le'],
  ['>', 'gt'],
  ['<', 'lt'],
];

// SECURITY: a name goes into no SQL text; this only keeps nonsense out early, and a name from being a whole document.
const FIELD = /^[a-z][a-z0-9_.]{0,63}$/;

/**
 * Reads a condition as people write it: `VALUE`, `!VALUE`, `VALUE*` (begins with), `~VALUE` (contains), `>N`, `>=N`,
 * `<N`, `<=N`, and `null` or `!null`. A backslash before the first character takes it as it is.
 */
export function parseCondition(field: string, text: string): Result<FieldCondition, string> {
  if (!FIELD.test(field))
    return fail(`\`${field.slice(0, 80)}\` is not the name of a record's field`);
  if (text.startsWith('\\')) return ok(equals(field, 'eq', text.slice(1)));
  for (const [sign, operator] of NUMBER_OPERATORS) {
    if (!text.startsWith(sign)) continue;
    const rest = text.slice(sign.length).trim();
    const value = rest === '' ? Number.NaN : Number(rest);
    if (!Number.isFinite(value))
      return fail(`\`${field}\`: \`${rest}\` is no number to compare with`);
    return ok({ kind: 'field', field, operator, value });
  }
  if (text.startsWith('!')) return ok(equals(field, 'ne', text.slice(1)));
  if (text.startsWith('~'))
    return ok({ kind: 'field', field, operator: 'contains', value: text.slice(1) });
  if (text.endsWith('*'))
    return ok({ kind: 'field', field, operator: 'prefix', value: text.slice(0, -1) });
  return ok(equals(field, 'eq', text));
}

function equals(field: string, operator: 'eq' | 'ne', value: string): FieldCondition {
  return { kind: 'field', field, operator, value: value === 'null' ? null : value };
}

/** Whether a record meets a condition. */
export function meets(condition: Condition, read: FieldReader): boolean {
  switch (condition.kind) {
    case 'field':
      return compare(read(condition.field), condition);
    case 'from':
      return isFrom(condition.name, read);
    case 'to':
      return isTo(condition.name, read);
    case 'text':
      // Only readers that know all fields can answer; they go through `holdsText`.
      return false;
  }
}

/** Whether one value of a record contains a text; `text` in lower case. */
export function holdsText(value: unknown, text: string): boolean {
  if (value === null || value === undefined) return false;
  const written = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return written.toLowerCase().includes(text);
}

/** Whether a whole record meets all conditions. */
export function recordMeets(record: object, conditions: readonly Condition[]): boolean {
  const fields = record as Readonly<Record<string, unknown>>;
  return conditions.every((condition) => {
    if (condition.kind !== 'text') return meets(condition, (field) => fields[field]);
    const text = condition.text.toLowerCase();
    return Object.values(fields).some((value) => holdsText(value, text));
  });
}

/** Whether a value meets a field's condition. */
export function compare(value: unknown, { operator, value: wanted }: FieldCondition): boolean {
  const known = value === undefined ? null : value;
  if (operator === 'ne') return !isEqual(known, wanted);
  if (operator === 'eq') return isEqual(known, wanted);
  if (known === null || wanted === null) return false;
  if (operator === 'prefix') return textOf(known).startsWith(String(wanted));
  if (operator === 'contains') return textOf(known).includes(String(wanted));
  const [a, b] = [Number(known), Number(wanted)];
  if (typeof known !== 'number') return false;
  if (operator === 'gt') return a > b;
  if (operator === 'ge') return a >= b;
  return operator === 'lt' ? a < b : a <= b;
}

function isEqual(known: unknown, wanted: string | number | null): boolean {
  if (known === null || wanted === null) return known === wanted;
  return textOf(known) === String(wanted);
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function isFrom(name: string, read: FieldReader): boolean {
  if (name.startsWith('spiffe://')) return read('source.id') === name;
  const { namespace, service } = splitName(name);
  if (read('source.service') !== service) return false;
  // A caller's namespace is a part of its identity (Istio's `spiffe://TD/ns/NAMESPACE/sa/ACCOUNT`).
  return namespace === undefined || String(read('source.id') ?? '').includes(`/ns/${namespace}/`);
}

function isTo(name: string, read: FieldReader): boolean {
  if (name.startsWith('spiffe://')) return read('destination.id') === name;
  const { namespace, service } = splitName(name);
  if (read('destination.service') !== service) return false;
  return namespace === undefined || read('destination.namespace') === namespace;
}

/** `NAMESPACE/SERVICE` or `SERVICE`. */
export function splitName(name: string): { readonly namespace?: string; readonly service: string } {
  const slash = name.indexOf('/');
  if (slash < 0) return { service: name };
  return { namespace: name.slice(0, slash), service: name.slice(slash + 1) };
}

/** The conditions of the record of a denial, which is that of who denied. */
export function denialConditions(denialId: string): readonly Condition[] {
  return [
    { kind: 'field', field: 'denial_id', operator: 'eq', value: denialId },
    { kind: 'field', field: 'verdict', operator: 'eq', value: 'deny' },
  ];
}
