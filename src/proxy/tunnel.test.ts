import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { ALLOW_WEB, ask, createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';

let pair: FakePair;

before(async () => {
  pair = await createFakePair({
    policies: [ALLOW_WEB],
    application(request, response) {
      response.end(`${request.method} ${request.url} for ${request.headers.host}`);
    },
  });
});
after(() => pair.close());

test('requests in a tunnel are judged and recorded one by one', async () => {
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const established = await talk(
    socket,
    'CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n',
    (text) => text.endsWith('\r\n\r\n'),
  );
  assert.equal(established, 'HTTP/1.1 200 OK\r\n\r\n');
  const before = pair.web.records.length;
  for (const path of ['/a', '/b']) {
    const answer = await talk(
      socket,
      `GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`,
      isWholeAnswer,
    );
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.ok(answer.endsWith(`GET ${path} for orders`), answer);
  }
  const ambiguous = await talk(
    socket,
    'GET /a/../b HTTP/1.1\r\nHost: orders\r\n\r\n',
    isWholeAnswer,
  );
  assert.match(ambiguous, /^HTTP\/1\.1 400 /);
  socket.destroy();
  assert.deepEqual(
    pair.web.records.slice(before).map((record) => record.status),
    [200, 200, 400],
  );
});

test('a CONNECT and its first request in one packet', async () => {
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const text = await talk(
    socket,
    'CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\n\r\nGET /c HTTP/1.1\r\nHost: orders\r\n\r\n',
    (seen) => seen.endsWith('GET /c for orders'),
  );
  socket.destroy();
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
});

test('a tunnel out of the mesh is refused and recorded', async () => {
  const answer = await ask(
    pair.caller.outboundPort,
    'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 404 /);
  assert.match(answer, /x-palisade-reason: no_such_service/);
  const record = pair.web.records.at(-1);
  assert.deepEqual(
    [record?.method, record?.host, record?.status],
    ['CONNECT', 'example.org:443', 404],
  );
});
