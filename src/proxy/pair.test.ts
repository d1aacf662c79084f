import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, createFakePair, type FakePair } from './fake-pair.ts';

let pair: FakePair;

before(async () => {
  pair = await createFakePair({
    application(request, response) {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => {
        body += chunk;
      });
      request.on('end', () => {
        response.setHeader('x-palisade-reason', 'spoofed');
        response.setHeader('content-type', 'application/json');
        const { method, url, headers } = request;
        response.end(JSON.stringify({ method, url, headers, body }));
      });
    },
  });
});
after(() => pair.close());

test('a call goes through both proxies and says who called', async () => {
  const text = await ask(
    pair.caller.outboundPort,
    'POST http://orders/a/b?c=d HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n' +
      'X-Forwarded-Client-Cert: By=evil\r\nX-Palisade-Admin: yes\r\n\r\nhello',
  );
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(text, /spoofed/);
  const seen = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as {
    method: string;
    url: string;
    headers: Record<string, string>;
    body: string;
  };
  assert.equal(seen.method, 'POST');
  assert.equal(seen.url, '/a/b?c=d');
  assert.equal(seen.body, 'hello');
  assert.equal(seen.headers['host'], 'orders');
  assert.equal(seen.headers['x-palisade-admin'], undefined);
  assert.match(
    seen.headers['x-forwarded-client-cert'] ?? '',
    /^By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/orders;Hash=[0-9a-f]{64};URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/web$/,
  );
  assert.match(seen.headers['traceparent'] ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  const [record] = pair.orders.records;
  assert.equal(record?.verdict, 'allow');
  assert.equal(record?.status, 200);
  assert.equal(record?.path, '/a/b');
  assert.equal(record?.about['source.service'], 'web');
  assert.equal(record?.traceId, pair.web.records[0]?.traceId);
  assert.equal(record?.parentSpanId, pair.web.records[0]?.spanId, 'the spans make one trace');
  assert.equal(pair.web.records[0]?.parentSpanId, null);
  for (const each of [record, pair.web.records[0]]) {
    const { decisionUs = -1, tunnelWaitUs = -1, upstreamUs = -1, durationUs = -1 } = each ?? {};
    assert.ok(decisionUs >= 0 && tunnelWaitUs >= 0 && upstreamUs > 0);
    assert.ok(decisionUs + tunnelWaitUs + upstreamUs <= durationUs + 3, 'stages of the whole');
  }
  assert.equal(pair.web.records[0]?.about['destination.service'], 'orders');
  assert.equal(pair.web.records[0]?.status, 200);
});
