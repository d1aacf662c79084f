/** A record on its way into a block: its fields as they were sent, its time, and the node that sent them. */
export type Row = {
  readonly node: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Ms since 1970. */
  readonly ms: number;
};

/** How a field's value is kept: in the shape, or in a column of its kind. */
export type FieldKind =
  | 'literal'
  | 'time'
  | 'count'
  | 'serial'
  | 'text'
  | 'json'
  | 'hex8'
  | 'hex16'
  /** The literal with the record's `seq` after it: the form of ids, `BOOT-SEQ`. */
  | 'numbered';

/**
 * The fields of which a mesh has few values: records that agree in them share a shape. Whatever is not named here, as
 * fields that later versions add, is a column, so that nothing that differs from call to call blows up the shapes.
 */
const LITERALS: ReadonlySet<string> = new Set([
  'node',
  'kind',
  'reporter',
  'source.id',
  'source.service',
  'destination.id',
  'destination.service',
  'destination.namespace',
  'destination.port',
  'tls.version',
  'tls.cipher',
  'tls.group',
  'method',
  'status',
  'policy',
  'rule',
  'policy_version',
  'reason',
  'verdict',
  'kept',
  'audit',
  'exception',
  'dry_run',
  'redacted',
  'redaction_key',
]);

const ISO_LENGTH = '2026-01-31T12:00:00.000Z'.length;
const HEX = /^[0-9a-f]+$/;

/** How this value of this field is kept. */
export function fieldKind(name: string, value: unknown): FieldKind {
  if (value === null || LITERALS.has(name)) return 'literal';
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 ? countKind(name) : 'json';
  if (typeof value !== 'string') return 'json';
  if (name === 'time' && isInstant(value)) return 'time';
  if (value.length === 32 && HEX.test(value)) return 'hex16';
  return value.length === 16 && HEX.test(value) ? 'hex8' : 'text';
}

// What counts up at each source is kept by its differences.
function countKind(name: string): FieldKind {
  return name === 'seq' ? 'serial' : 'count';
}

/** Whether a field's values are kept in shapes. */
export function isLiteralField(name: string): boolean {
  return LITERALS.has(name);
}

// Every such text is an instant, and the one that its number is written as; other days need a look at the calendar.
const PLAIN_INSTANT =
  /^20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

function isInstant(text: string): boolean {
  if (text.length !== ISO_LENGTH) return false;
  if (PLAIN_INSTANT.test(text)) return true;
  const ms = Date.parse(text);
  return ms >= 0 && new Date(ms).toISOString() === text;
}
