import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connectH2, createProtocolPair, requestH2, startH2Application } from './fake-http2.ts';

const HELLO = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('000000040000000000', 'hex'),
]);
// GET of `/` of `orders`, by the static table but for the authority.
const GET = Buffer.concat([Buffer.from('8286840106', 'hex'), Buffer.from('orders')]);

function request(index: number): Buffer {
  const header = Buffer.from('000000010500000000', 'hex');
  header.writeUIntBE(GET.length, 0, 3);
  header.writeUInt32BE(2 * index + 1, 5);
  return Buffer.concat([header, GET]);
}

test('attack: a connection with a hundred streams at once, and more, does not come first at the application', async () => {
  const held: ServerHttp2Stream[] = [];
  let heldBefore = 0;
  let isFlooded: () => void = () => undefined;
  let areAllThere: () => void = () => undefined;
  const flooded = new Promise<void>((resolve) => {
    isFlooded = resolve;
  });
  const allThere = new Promise<void>((resolve) => {
    areAllThere = resolve;
  });
  const application = await startH2Application((stream, headers) => {
    stream.respond({ ':status': 200 });
    if (headers[':path'] === '/other') {
      heldBefore = held.length;
      stream.end('ok');
      return;
    }
    held.push(stream);
    isFlooded();
    if (held.length === 100) areAllThere();
  });
  const pair = await createProtocolPair('http2', { port: application.port });
  const other = connectH2(pair.caller.outboundPort);
  const flood = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  try {
    const ask = () => requestH2(other, { ':path': '/other', ':authority': 'orders' });
    assert.equal((await ask()).body, 'ok');
    flood.on('error', () => {
      // It is cut when the pair closes.
    });
    flood.resume();
    // Fifty more than are served at once: those are refused, and the hundred are not begun in one go.
    flood.write(Buffer.concat([HELLO, ...Array.from({ length: 150 }, (_, at) => request(at))]));
    await flooded;
    assert.equal((await ask()).body, 'ok');
    assert.ok(heldBefore < 40, `${heldBefore} of the hundred came first`);
    // They are not forgotten: those that nobody answers begin by and by.
    await allThere;
  } finally {
    other.destroy();
    flood.destroy();
    await pair.close();
    application.close();
  }
});
