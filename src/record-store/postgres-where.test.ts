import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCondition } from './filter.ts';
import { whereOf } from './postgres-where.ts';

function sqlOf(field: string, text: string): readonly unknown[] {
  const condition = parseCondition(field, text);
  if (!condition.ok) assert.fail(condition.error);
  const { sql, values } = whereOf({ where: [condition.value] });
  return [sql, ...values];
}

test('what has an index is compared in its own type', () => {
  const cases: readonly (readonly [string, string, string, string | number])[] = [
    ['status', '500', '(status = $1::bigint)', 500],
    ['status', '>=500', '(status >= $1::bigint)', 500],
    ['status', '>=499.5', '(status >= $1::bigint)', 500],
    ['status', '>499.5', '(status > $1::bigint)', 499],
    ['status', '<499.5', '(status < $1::bigint)', 500],
    ['status', '<=499.5', '(status <= $1::bigint)', 499],
    ['status', '>1e300', '(status > $1::bigint)', Number.MAX_SAFE_INTEGER],
    ['duration_us', '>50000', "((fields ->> 'duration_us')::bigint > $1::bigint)", 50_000],
    // No record has such a number, and its text must not end the statement.
    ['status', '0500', '(fields ->> $1::text = $2::text)', 'status'],
    ['status', 'five', '(fields ->> $1::text = $2::text)', 'status'],
  ];
  for (const [field, text, sql, first] of cases) {
    assert.deepEqual(sqlOf(field, text).slice(0, 2), [sql, first], `${field}=${text}`);
  }
});

test('a window and times are whole numbers of the type of their columns', () => {
  const query = { sinceMs: 1.5, untilMs: 9 };
  assert.deepEqual(whereOf(query, { fromId: 3, untilId: 2 ** 33 }), {
    sql: '(id >= $1::bigint AND id < $2::bigint) AND (time_ms >= $3::bigint) AND (time_ms < $4::bigint)',
    values: [3, 2 ** 33, 2, 9],
  });
});
