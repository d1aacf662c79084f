// Peers that break off at every byte of an exchange, in every way: nothing leaks, nothing is answered twice, and no answer
// reaches another caller.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { createFakePair, type FakePair, talk } from './fake-pair.ts';

/** How a peer goes: a reset, an end, or first an end and then a reset. */
const WAYS = ['reset', 'end', 'end and reset'] as const;
type Way = (typeof WAYS)[number];

let app: Server;
let pair: FakePair;
/** What the application does with a whole request. */
let answer: (socket: Socket, request: string) => void;
/** Requests that reached the application whole, by their path. */
const received = new Map<string, number>();

before(async () => {
  app = createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('error', () => {
      // Both sides break off here.
    });
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const whole = /^\S+ (\S+) [^]*?\r\n\r\n(?:5\r\nhello\r\n0\r\n\r\n)?/.exec(text);
      if (whole === null || (text.includes('chunked') && !text.endsWith('0\r\n\r\n'))) return;
      const path = whole[1] ?? '';
      received.set(path, (received.get(path) ?? 0) + 1);
      const request = text;
      text = '';
      answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  pair = await createFakePair({ application: { port: (app.address() as AddressInfo).port } });
});
after(async () => {
  await pair.close();
  app.close();
});

const post = (path: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`;
const echo = (socket: Socket, request: string): void => {
  const path = request.split(' ')[1] ?? '';
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
};
const open = (): Socket => {
  const socket = connect({
    port: pair.caller.outboundPort ?? 0,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  socket.on('error', () => {
    // It is what these tests do to it.
  });
  return socket;
};

function go(socket: Socket, way: Way): void {
  if (way !== 'reset') socket.end();
  if (way === 'end') return;
  if (way === 'reset') socket.resetAndDestroy();
  else setImmediate(() => socket.resetAndDestroy());
}

/** Connections that callers hold open, at both proxies. */
function openConnections(): number {
  return [pair.web, pair.orders]
    .flatMap(({ metrics }) => [
      metrics.connections('inbound', 'http'),
      metrics.connections('outbound', 'http'),
    ])
    .reduce((sum, counter) => sum + counter.value, 0);
}

/** Everybody still gets their own answer, and no caller's connection is left behind at the first proxy. */
async function assertSound(): Promise<void> {
  answer = echo;
  const paths = Array.from({ length: 12 }, (_, i) => `/after/${i}/${performance.now()}`);
  const answers = await Promise.all(
    paths.map(async (path) => {
      const socket = open();
      const text = await talk(socket, get(path), (seen) => seen.endsWith(path));
      socket.destroy();
      return text.split('\r\n\r\n')[1];
    }),
  );
  assert.deepEqual(answers, paths);
  const { metrics } = pair.web;
  for (let i = 0; i < 500 && metrics.connections('outbound', 'http').value > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(metrics.connections('outbound', 'http').value, 0, 'callers’ connections left');
}

for (const way of WAYS) {
  test(`a caller that goes by ${way} at every byte of its request`, async () => {
    answer = echo;
    const request = post('/cut');
    for (let cut = 0; cut < request.length; cut += 1) {
      const socket = open();
      socket.resume();
      const gone = new Promise((resolve) => socket.once('close', resolve));
      socket.write(request.slice(0, cut), () => go(socket, way));
      await gone;
    }
    await assertSound();
    assert.equal(received.get('/cut') ?? 0, 0, 'half a request is none');
  });

  test(`a caller that goes by ${way} at every byte of its answer`, async () => {
    const whole = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    answer = (socket) => socket.write(whole);
    for (let cut = 1; cut < 60; cut += 3) {
      const socket = open();
      const gone = new Promise((resolve) => socket.once('close', resolve));
      let seen = 0;
      socket.on('data', (chunk) => {
        seen += chunk.length;
        if (seen >= cut) go(socket, way);
      });
      socket.write(get(`/leaves/${WAYS.indexOf(way)}/${cut}`));
      await gone;
    }
    await assertSound();
  });

  for (const framing of ['chunked', 'length'] as const) {
    test(`an application that goes by ${way} at every byte of its answer (${framing})`, async () => {
      const whole =
        framing === 'chunked'
          ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
          : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
      const head = whole.indexOf('\r\n\r\n') + 4;
      for (let cut = 0; cut < whole.length; cut++) {
        const path = `/app/${framing}/${WAYS.indexOf(way)}/${cut}`;
        answer = (socket) => socket.write(whole.slice(0, cut), () => go(socket, way));
        const socket = open();
        socket.once('end', () => socket.end());
        const text = await talk(socket, post(path), (seen) => /^HTTP\/1\.1 502 [^]*\n$/.test(seen));
        socket.destroy();
        // A reset may overtake bytes that came before it, so less may arrive, but never a whole answer.
        if (!text.startsWith('HTTP/1.1 200 ')) assert.match(text, /^HTTP\/1\.1 502 /, `${cut}`);
        else {
          assert.ok(cut >= head, `${cut}: ${text}`);
          const body = text.slice(text.indexOf('\r\n\r\n') + 4);
          assert.ok(!body.endsWith('\r\n0\r\n\r\n') && body !== 'hello', `${cut}: ${text}`);
        }
        // A request with effects is never sent twice.
        assert.equal(received.get(path), 1, path);
      }
      await assertSound();
    });
  }
}

test('slow writers and readers, byte by byte: each gets its own whole answer', async () => {
  answer = (socket, request) => {
    const body = `${request.split(' ')[1]} answered slowly`;
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    dribble(socket, bytes);
  };
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const socket = open().setNoDelay(true);
      const text = talk(socket, '', (seen) => seen.endsWith('answered slowly'));
      dribble(socket, Buffer.from(post(`/slow/${i}`)));
      assert.ok((await text).endsWith(`\r\n\r\n/slow/${i} answered slowly`));
      socket.destroy();
    }),
  );
  await assertSound();
});

test('callers that never read hold back their server, not the proxy’s memory', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  answer = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
    };
    socket.on('drain', more);
    more();
  };
  const sockets = Array.from({ length: 8 }, () => {
    const socket = open();
    socket.pause();
    socket.write(get('/never-read'));
    return socket;
  });
  let before = -1;
  while (before !== written || written === 0) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  // What the kernel's buffers of four hops take, and little besides.
  assert.ok(written / sockets.length < 24_000_000, `${written} bytes taken`);
  for (const socket of sockets) socket.destroy();
  await assertSound();
  assert.ok(openConnections() <= 64, 'only kept connections are left between the proxies');
});

function dribble(socket: Socket, bytes: Buffer): void {
  let at = 0;
  const next = (): void => {
    if (at === bytes.length || socket.destroyed) return;
    socket.write(bytes.subarray(at, ++at), () => setImmediate(next));
  };
  next();
}
