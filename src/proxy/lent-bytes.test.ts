import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { fakeService } from './fake-mesh.ts';
import { ask, createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';
import { createProxy } from './proxy.ts';

// All connections read into the same buffer: these tests look for bytes that end up in the wrong place.
let pair: FakePair;

before(async () => {
  pair = await createFakePair({
    application(request, response) {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => response.end(Buffer.concat(parts)));
    },
  });
});
after(() => pair.close());

test('many bodies at once, cut at any place, come back as they went', async () => {
  const one = async (index: number): Promise<void> => {
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    for (let round = 0; round < 3; round++) {
      const body = randomBytes(1 + ((index * 7919 + round * 104_729) % 150_000)).toString('hex');
      const head = `POST /${index} HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n\r\n`;
      const raw = Buffer.from(head + body);
      const answer = talk(socket, raw.subarray(0, 40 + index), isWholeAnswer);
      for (let at = 40 + index; at < raw.length; at += 30_011) {
        socket.write(raw.subarray(at, at + 30_011));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const text = await answer;
      assert.equal(digest(text.slice(text.indexOf('\r\n\r\n') + 4)), digest(body));
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: 24 }, (_, index) => one(index)));
});

test('a call that waits for a look-up keeps its own head and body', async () => {
  const far = { ...fakeService(pair.mesh, 'orders'), namespace: 'far' };
  let release: () => void = () => {};
  const waiting = new Promise<void>((resolve) => {
    release = resolve;
  });
  const caller = await createProxy(
    pair.web.options({
      endpoints: () => [{ host: '127.0.0.1', port: pair.server.inboundPort ?? 0 }],
      resolve: async () => {
        await waiting;
        return far;
      },
      listen: { inbound: undefined, outbound: { host: '127.0.0.1', port: 0 }, upstreams: [] },
    }),
  );
  const socket = connect(caller.outboundPort ?? 0, '127.0.0.1');
  const raw = 'POST /wait HTTP/1.1\r\nHost: orders.far\r\nContent-Length: 8\r\n\r\nfirs';
  const answer = talk(socket, raw, isWholeAnswer);
  // Other calls read over the bytes of the one that waits.
  for (let i = 0; i < 3; i++) {
    const other = `POST /x HTTP/1.1\r\nHost: orders\r\nContent-Length: 600\r\n\r\n${'z'.repeat(600)}`;
    assert.match(await ask(caller.outboundPort, other), /200 OK/);
  }
  socket.write('tail');
  release();
  assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nfirstail$/);
  assert.equal(pair.orders.records.at(-1)?.path, '/wait');
  socket.destroy();
  await caller.close();
});

test('pipelined requests that wait their turn stay as they came', async () => {
  const post = (text: string): string =>
    `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  const one = async (index: number): Promise<void> => {
    const texts = Array.from({ length: 8 }, (_, i) => `<${index}-${i}>${'y'.repeat(i * 100)}`);
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    const text = await talk(socket, texts.map(post).join(''), (got) =>
      got.endsWith(texts.at(-1) ?? ''),
    );
    socket.destroy();
    assert.equal(text.match(/<\d+-\d>/g)?.join(), texts.map((t) => t.split('>')[0] + '>').join());
  };
  await Promise.all(Array.from({ length: 12 }, (_, index) => one(index)));
});

function digest(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}
