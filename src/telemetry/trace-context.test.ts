import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTraceIds, formatTraceparent, parseTraceparent } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

function check(value: string, expected: ReturnType<typeof parseTraceparent>): void {
  test(`traceparent ${JSON.stringify(value).slice(0, 80)}`, () =>
    assert.deepEqual(parseTraceparent(value), expected));
}

const sampled = { traceId: TRACE, parentId: SPAN, isSampled: true };
check(`00-${TRACE}-${SPAN}-01`, sampled);
check(`00-${TRACE}-${SPAN}-00`, { ...sampled, isSampled: false });
check(`00-${TRACE}-${SPAN}-03`, sampled);
check(`01-${TRACE}-${SPAN}-01-of-the-future`, sampled);
check(`01-${TRACE}-${SPAN}-01`, sampled);
check(`00-${TRACE}-${SPAN}-01-more`, undefined);
check(`01-${TRACE}-${SPAN}-01more`, undefined);
check(`ff-${TRACE}-${SPAN}-01`, undefined);
check(`00-${'0'.repeat(32)}-${SPAN}-01`, undefined);
check(`00-${TRACE}-${'0'.repeat(16)}-01`, undefined);
check(`00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined);
check(`00-${TRACE}-${SPAN}`, undefined);
check(`00-${TRACE}-${SPAN.slice(1)}g-01`, undefined);
check(`00-${TRACE}x${SPAN}-01`, undefined);
check(`00-0000${TRACE.slice(4)}-${SPAN}-01`, { ...sampled, traceId: `0000${TRACE.slice(4)}` });
check('', undefined);
check(`01-${TRACE}-${SPAN}-01-${'x'.repeat(1000)}`, undefined);

test('what is written is read', () => {
  assert.deepEqual(parseTraceparent(formatTraceparent(TRACE, SPAN, true)), sampled);
});

test('ids are hex, of their length, different, and never all zeros', () => {
  const ids = createTraceIds();
  const seen = new Set(Array.from({ length: 1000 }, () => ids.traceId()));
  assert.equal(seen.size, 1000);
  for (const id of seen) assert.match(id, /^[0-9a-f]{32}$/);
  assert.match(ids.spanId(), /^[0-9a-f]{16}$/);
  let fills = 0;
  const zeroFirst = createTraceIds((pool) => pool.fill(fills++ === 0 ? 0 : 7));
  assert.equal(zeroFirst.spanId(), '07'.repeat(8));
});
