import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Block, type Head, openBlock } from './block.ts';
import { matchBlock } from './block-match.ts';
import { encodeBlock, joinBlocks } from './block-write.ts';
import { packSection, unpackSection } from './columns.ts';
import { type Condition, recordMeets } from './filter.ts';
import { denied, NODE, recordOf } from './fixtures.ts';
import type { Row } from './row.ts';

const RECORDS = Array.from({ length: 60 }, (_, at) =>
  recordOf(at + 1, {
    ...(at % 7 === 0 ? denied(`d${at}`) : {}),
    path: at % 3 === 0 ? `/Größe/"${at}"\n\\` : `/ORDERS/${at}`,
    'source.service': at % 2 === 0 ? 'web' : 'ΑΣ',
    weight: at % 5 === 0 ? 1.5 : at,
    redacted: at % 4 === 0 ? ['path'] : null,
    trace_id: ((at + 1) * 0x9e3779b97f).toString(16).padStart(32, 'a'),
  }),
);
const ROWS = RECORDS.map(
  (record): Row => ({ node: NODE, fields: { ...record }, ms: Date.parse(record.time) }),
);

function open({ count, head, columns }: ReturnType<typeof encodeBlock>): Block {
  return openBlock(count, head, () => columns);
}

/** Blocks of the same records: written at once, joined of parts, and with a head as the first schema had it. */
function blocks(): readonly (readonly [string, Block])[] {
  const whole = encodeBlock(ROWS);
  const parts = [ROWS.slice(0, 20), ROWS.slice(20)].map((rows) => open(encodeBlock(rows, true)));
  const { fields, shapes, columns } = JSON.parse(unpackSection(whole.head).toString()) as Head;
  const first = { shapes: shapes.map((shape) => shape.map((at) => fields[at])), columns };
  const head = packSection(Buffer.from(JSON.stringify(first)));
  return [
    ['whole', open(whole)],
    ['joined', open(joinBlocks(parts))],
    ['of the first schema', open({ ...whole, head })],
  ];
}

function check(where: readonly Condition[]): number {
  const expected = RECORDS.flatMap((record, at) =>
    recordMeets({ ...record, node: NODE }, where) ? [at] : [],
  );
  const query = { sinceMs: undefined, untilMs: undefined, where };
  for (const [what, block] of blocks()) {
    const found = matchBlock(block, query, { from: 0, ascending: true, limit: 1_000 });
    assert.deepEqual(found, expected, `${what}: ${JSON.stringify(where)}`);
  }
  return expected.length;
}

test('what a block says of a text anywhere is what its records say', () => {
  for (const text of [
    'größe',
    'GRÖSSE',
    '"3"\n\\',
    '\n',
    'ας',
    'ΑΣ',
    'path',
    '1.5',
    'b0000001-1',
    '',
  ]) {
    check([{ kind: 'text', text }]);
  }
  for (const text of ['größe', '"3"', 'απ', '2027-01-15t', '-12', '0001-12', 'ab12', 'web']) {
    check([{ kind: 'text', text }]);
  }
  assert.equal(check([{ kind: 'text', text: 'nowhere to be found' }]), 0);
  const somewhere = fc
    .record({
      at: fc.nat({ max: RECORDS.length - 1 }),
      field: fc.nat(),
      from: fc.nat({ max: 30 }),
      length: fc.integer({ min: 1, max: 12 }),
      isUpper: fc.boolean(),
    })
    .map(({ at, field, from, length, isUpper }) => {
      const values = Object.values(RECORDS[at] ?? {}).filter((value) => value !== null);
      const value: unknown = values[field % values.length];
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
      const part = text.slice(from % text.length).slice(0, length);
      return isUpper ? part.toUpperCase() : part;
    });
  fc.assert(
    fc.property(somewhere, (text) => {
      check([{ kind: 'text', text }]);
    }),
    { numRuns: 150 },
  );
});

test('conditions on fields hold for the same records, whatever shapes they have', () => {
  const is = (
    field: string,
    operator: 'eq' | 'ne' | 'prefix' | 'gt',
    value: string | number | null,
  ) => ({ kind: 'field', field, operator, value }) as const;
  for (const where of [
    [is('verdict', 'eq', 'deny')],
    [is('policy', 'eq', null)],
    [is('path', 'prefix', '/ORDERS/1'), { kind: 'from', name: 'web' }],
    [is('weight', 'gt', 10), is('method', 'eq', 'GET')],
    [is('never_there', 'ne', 'x'), { kind: 'to', name: 'default/orders' }],
    [is('trace_id', 'eq', RECORDS[3]?.trace_id ?? ''), { kind: 'text', text: 'αΣ' }],
  ] as const) {
    check(where);
  }
});

test('a shape that names a field which is not there is damage', () => {
  const { count, head, columns } = encodeBlock(ROWS);
  const said = JSON.parse(unpackSection(head).toString()) as Head;
  const damaged = packSection(
    Buffer.from(JSON.stringify({ ...said, fields: said.fields.slice(1) })),
  );
  assert.throws(() => openBlock(count, damaged, () => columns), /names no field/);
});
