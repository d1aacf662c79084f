import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeers, GET, listener } from './fake-peers.ts';
import { H2_CODE } from './messages.ts';
import type { H2Stream } from './stream.ts';

const POST = [':method', 'POST', ...GET.slice(2)];

test('a request and its answer pass, however their bytes are cut', () => {
  for (const pieceBytes of [1, 2, 3, 7, 64, 100_000]) {
    const peers = createPeers();
    const heard = listener();
    const stream = peers.client.open([...POST, 'x-note', 'a b'], false, heard.sink) as H2Stream;
    peers.client.sendData(stream, Buffer.from('..hello..'), 2, 7, true);
    peers.run(pieceBytes);
    const [request] = peers.requests;
    assert.deepEqual(request?.request, {
      method: 'POST',
      scheme: 'http',
      authority: 'orders',
      path: '/',
      fields: ['x-note', 'a b'],
      contentLength: -1,
    });
    assert.equal(request.body, 'hello');
    assert.ok(request.isEnd);
    const answered = request.stream as H2Stream;
    peers.server.respond(answered, [':status', '103', 'link', '<a>'], false);
    peers.server.respond(answered, [':status', '200', 'content-length', '2'], false);
    peers.server.sendData(answered, Buffer.from('ok'), 0, 2, false);
    peers.server.sendTrailers(answered, ['grpc-status', '0']);
    peers.run(pieceBytes);
    assert.deepEqual(
      heard.responses.map(({ status }) => status),
      [103, 200],
    );
    assert.equal(heard.body, 'ok');
    assert.deepEqual(heard.trailers, ['grpc-status', '0']);
    assert.equal(peers.client.streamCount + peers.server.streamCount, 0);
    assert.ok(peers.client.isSettled && peers.server.isSettled);
    assert.deepEqual(peers.refused, []);
  }
});

test('a body larger than all windows flows by credit alone, and in order', () => {
  const peers = createPeers({ server: { connectionWindow: 65_535 } });
  const heard = listener();
  const stream = peers.client.open(POST, false, heard.sink) as H2Stream;
  const body = Buffer.alloc(300_000, 'abcdefghij');
  assert.equal(peers.client.sendData(stream, body, 0, body.length, true), false);
  peers.run();
  const [request] = peers.requests;
  assert.equal(request?.bodyBytes, 65_535);
  let rounds = 0;
  while (!request.isEnd && rounds++ < 20) {
    peers.server.credit(request.stream as H2Stream, 65_535);
    peers.run();
  }
  assert.equal(request.bodyBytes, 300_000);
  assert.equal(
    request.body.slice(0, 100_000),
    body.toString('latin1', 0, request.body.length).slice(0, 100_000),
  );
  assert.equal(stream.pendingBytes, 0);
});

test('streams take turns: a large body does not hold up a small one', () => {
  const wide = { streamWindow: 4_000_000, connectionWindow: 8_000_000 };
  const peers = createPeers({ server: wide });
  peers.run();
  const large = peers.client.open(POST, false, listener().sink) as H2Stream;
  peers.client.sendData(large, Buffer.alloc(2_000_000), 0, 2_000_000, true);
  const small = peers.client.open(POST, false, listener().sink) as H2Stream;
  peers.client.sendData(small, Buffer.from('small'), 0, 5, true);
  // The first piece was full when the small one came; the second one has it.
  const first = peers.client.takeOutput() as Buffer;
  const second = peers.client.takeOutput() as Buffer;
  peers.server.receive(Buffer.concat([first, second]), 0);
  assert.ok(peers.requests[1]?.isEnd);
  assert.equal(peers.requests[0]?.isEnd, false);
  assert.ok(first.length + second.length < 400_000);
});

test('a sender is told to wait, and when it may go on', () => {
  const peers = createPeers();
  peers.run();
  const heard = listener();
  const stream = peers.client.open(POST, false, heard.sink) as H2Stream;
  assert.ok(peers.client.sendData(stream, Buffer.alloc(60_000), 0, 60_000, false));
  assert.equal(peers.client.sendData(stream, Buffer.alloc(10_000), 0, 10_000, false), false);
  peers.run();
  assert.equal(heard.drains, 0);
  peers.server.credit(peers.requests[0]?.stream as H2Stream, 65_535);
  peers.run();
  assert.equal(heard.drains, 1);
  assert.equal(peers.requests[0]?.bodyBytes, 70_000);
});

test('trailers wait for the body before them', () => {
  const peers = createPeers();
  peers.run();
  const stream = peers.client.open(POST, false, listener().sink) as H2Stream;
  peers.client.sendData(stream, Buffer.alloc(70_000), 0, 70_000, false);
  peers.client.sendTrailers(stream, ['x-sum', '1']);
  assert.equal(stream.isOpen, false);
  peers.run();
  const [request] = peers.requests;
  assert.equal(request?.trailers, undefined);
  peers.server.credit(request?.stream as H2Stream, 65_535);
  peers.run();
  assert.equal(request?.bodyBytes, 70_000);
  assert.deepEqual(request.trailers, ['x-sum', '1']);
});

test('a reset ends the stream on both sides, with its code', () => {
  const peers = createPeers();
  const heard = listener();
  const stream = peers.client.open(POST, false, heard.sink) as H2Stream;
  peers.run();
  peers.client.reset(stream, H2_CODE.CANCEL);
  peers.run();
  assert.deepEqual(peers.requests[0]?.reset, {
    code: H2_CODE.CANCEL,
    origin: 'peer',
    unprocessed: false,
    error: undefined,
  });
  // The server had sent an answer meanwhile: no error of its own.
  peers.server.respond(peers.requests[0]?.stream as H2Stream, [':status', '200'], true);
  peers.run();
  assert.equal(heard.reset, undefined);
  assert.equal(peers.client.failed ?? peers.server.failed, undefined);
});

test('frames for a stream that we reset are ignored while they may be on their way', () => {
  const peers = createPeers();
  const heard = listener();
  const stream = peers.client.open(POST, false, heard.sink) as H2Stream;
  peers.run();
  const answered = peers.requests[0]?.stream as H2Stream;
  peers.server.respond(answered, [':status', '200'], false);
  peers.server.sendData(answered, Buffer.from('late'), 0, 4, true);
  peers.client.reset(stream, H2_CODE.CANCEL);
  peers.run();
  assert.equal(peers.client.failed, undefined);
  assert.equal(heard.body, '');
});

test('more streams than allowed are refused unprocessed, and count', () => {
  const peers = createPeers({ server: { maxStreams: 2 } });
  const heard = [listener(), listener(), listener()];
  for (const { sink } of heard) peers.client.open(GET, true, sink);
  peers.run();
  assert.deepEqual(heard[2]?.reset, {
    code: H2_CODE.REFUSED_STREAM,
    origin: 'peer',
    unprocessed: true,
    error: undefined,
  });
  assert.equal(peers.requests.length, 2);
  assert.deepEqual(peers.refused, ['server h2_stream_limit']);
  assert.equal(peers.client.canOpen, false);
});

test('a shutdown loses no request that was under way', () => {
  const peers = createPeers();
  peers.run();
  peers.server.shutdown();
  // Opened before the client could know.
  const heard = listener();
  peers.client.open(GET, true, heard.sink);
  peers.run();
  assert.equal(peers.client.canOpen, false);
  assert.equal(peers.requests.length, 1);
  peers.server.respond(peers.requests[0]?.stream as H2Stream, [':status', '204'], true);
  peers.run();
  assert.equal(heard.responses[0]?.status, 204);
  assert.equal(heard.reset, undefined);
});

test('stalled streams are found and dropped, others are not', () => {
  const peers = createPeers();
  peers.run();
  const stalled = listener();
  const stream = peers.client.open(POST, false, stalled.sink) as H2Stream;
  peers.client.sendData(stream, Buffer.alloc(100_000), 0, 100_000, true);
  const idle = listener();
  peers.client.open(POST, false, idle.sink);
  peers.run();
  assert.equal(peers.client.resetStalled(-1), 0);
  assert.equal(peers.client.resetStalled(1), 1);
  assert.equal(stalled.reset?.error, 'h2_stalled_stream');
  assert.equal(idle.reset, undefined);
});

test('when the transport goes, every stream hears it', () => {
  const peers = createPeers();
  const heard = listener();
  peers.client.open(GET, true, heard.sink);
  peers.run();
  peers.client.closed();
  peers.server.closed();
  assert.equal(heard.reset?.origin, 'connection');
  assert.equal(peers.requests[0]?.reset?.origin, 'connection');
});
