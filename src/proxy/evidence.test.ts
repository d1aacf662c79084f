import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, createFakePair, type FakePair } from './fake-pair.ts';
import { parsePeerDenial, parsePeerReason } from './respond.ts';

let pair: FakePair;
before(async () => {
  pair = await createFakePair({
    application: (_request, response) => response.end('ok'),
    telemetry: { headers: ['user-agent', 'x-request-id'] },
  });
});
after(() => pair.close());

test('headers are in records where a policy asks for them, and nowhere else', async () => {
  const head =
    'GET http://orders/a HTTP/1.1\r\nHost: orders\r\nUser-Agent: test/1\r\nX-Other: no\r\n\r\n';
  await ask(pair.caller.outboundPort, head);
  assert.deepEqual(pair.orders.records.at(-1)?.headers, [['user-agent', 'test/1']]);
  assert.equal(pair.web.records.at(-1)?.headers, undefined, 'this side has no such policy');
  await ask(pair.caller.outboundPort, 'GET http://orders/a HTTP/1.1\r\nHost: orders\r\n\r\n');
  assert.deepEqual(pair.orders.records.at(-1)?.headers, [], 'none is left of the call before');
});

test('a trace goes on where the caller has one, and begins where what it has is none', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const send = (traceparent: string) =>
    ask(
      pair.caller.outboundPort,
      `GET http://orders/t HTTP/1.1\r\nHost: orders\r\ntraceparent: ${traceparent}\r\n\r\n`,
    );
  await send(`00-${trace}-00f067aa0ba902b7-01`);
  const [web, orders] = [pair.web.records.at(-1), pair.orders.records.at(-1)];
  assert.deepEqual([web?.traceId, web?.parentSpanId], [trace, '00f067aa0ba902b7']);
  assert.deepEqual([orders?.traceId, orders?.parentSpanId], [trace, web?.spanId]);
  await send(`00-${trace}-0000000000000000-01`);
  const begun = pair.web.records.at(-1);
  assert.notEqual(begun?.traceId, trace);
  assert.equal(begun?.parentSpanId, null);
});

/** What becomes of a peer's word for a refusal. */
function checkWord(
  text: string | undefined,
  reason: string | undefined,
  denial: string | null,
): void {
  test(`a peer that says ${JSON.stringify(text)?.slice(0, 40)}`, () => {
    assert.equal(parsePeerReason(text), reason);
    assert.equal(parsePeerDenial(text), denial);
  });
}

checkWord(undefined, undefined, null);
checkWord('policy_denied', 'policy_denied', 'policy_denied');
checkWord('0f1e2d3c4b5a6978', undefined, '0f1e2d3c4b5a6978');
checkWord('', undefined, null);
checkWord('a"} 1\nistio_requests_total{', undefined, null);
checkWord('\u001b[2J', undefined, null);
checkWord('<script>', undefined, null);
checkWord('a'.repeat(65), undefined, null);
