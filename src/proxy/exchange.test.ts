import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { connectH2, createProtocolPair, startH2Application } from './fake-http2.ts';
import { ask, createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';

/** An application that answers byte for byte as told; what it got is in `received`. */
type RawApplication = {
  readonly server: Server;
  received: string;
  answer: (socket: Socket, text: string) => void;
  connections: number;
};

let app: RawApplication;
let pair: FakePair;

before(async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    app.connections++;
    let text = '';
    socket.on('error', () => {
      // The proxy may reset it; the test looks at what was received.
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      app.received += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      const request = text;
      text = '';
      app.answer(socket, request);
    });
  });
  app = { server, received: '', answer: () => {}, connections: 0 };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  pair = await createFakePair({ application: { port: (server.address() as AddressInfo).port } });
});
after(async () => {
  await pair.close();
  app.server.close();
});

/** One answer to one request on a new connection. */
async function exchange(
  raw: string,
  answer: (socket: Socket, text: string) => void,
): Promise<string> {
  app.received = '';
  app.answer = answer;
  return ask(pair.caller.outboundPort, raw);
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const request = (line: string, more = ''): string =>
  `${line} HTTP/1.1\r\nHost: orders\r\n${more}\r\n`;
const reply = (socket: Socket): void => {
  socket.write(OK);
};

test('keep-alive: many requests of one caller take one connection to the application', async () => {
  app.answer = reply;
  const before = app.connections;
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  for (let i = 0; i < 5; i++) {
    assert.match(await talk(socket, request(`GET /${i}`), isWholeAnswer), /200 OK/);
  }
  socket.destroy();
  assert.ok(app.connections - before <= 1, `${app.connections - before} connections`);
});

test('pipelined requests are answered in order, bodies included', async () => {
  app.answer = (socket, text) => {
    const path = /^\S+ (\S+)/.exec(text)?.[1] ?? '';
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
  };
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const raw =
    request('GET /1') +
    `${request('POST /2', 'Content-Length: 3\r\n')}abc` +
    request('GET /3') +
    request('GET http://nobody/4').replace('Host: orders', 'Host: nobody') +
    request('GET /5');
  const text = await talk(socket, raw, (text) => text.endsWith('/5'));
  socket.destroy();
  const order = [...text.matchAll(/(?<!HTTP)\/[1-5]|no_such_service\r/g)].map(([match]) => match);
  assert.deepEqual(order, ['/1', '/2', '/3', 'no_such_service\r', '/5']);
});

test('a chunked body with trailers passes byte for byte, in both directions', async () => {
  const body = '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n';
  app.received = '';
  app.answer = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
  };
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const raw = `${request('POST /c', 'Transfer-Encoding: chunked\r\n')}${body}`;
  const text = await talk(socket, raw, (text) => text.includes('X-Sum: 1\r\n\r\n'));
  socket.destroy();
  assert.ok(app.received.endsWith(`\r\n\r\n${body}`), app.received);
  assert.ok(text.endsWith(`\r\n\r\n${body}`), text);
});

test('a body that ends with the connection is chunked on, so that its end is known', async () => {
  const text = await exchange(request('GET /u'), (socket) => {
    socket.write('HTTP/1.0 200 OK\r\n\r\nfirst');
    setImmediate(() => socket.end('second'));
  });
  assert.match(text, /^HTTP\/1\.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n/);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4).replace(/(^|\r\n)[0-9a-f]+\r\n/g, '');
  assert.equal(body.replace(/\r\n/g, ''), 'firstsecond');
});

test('an HTTP/1.0 caller gets its answer and then the end', async () => {
  app.answer = (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nbody');
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const text = await talk(socket, 'GET / HTTP/1.0\r\nHost: orders\r\n\r\n');
  assert.match(text, /^HTTP\/1\.1 200 OK\r\nconnection: close\r\n\r\nbody$/);
  assert.match(app.received, /GET \/ HTTP\/1\.0\r\n/);
});

test('chunks for an HTTP/1.0 caller, who cannot read them, are a failure of the server', async () => {
  app.answer = (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const text = await talk(socket, 'GET / HTTP/1.0\r\nHost: orders\r\n\r\n');
  assert.match(text, /^HTTP\/1\.1 502 [^]*x-palisade-reason: upstream_failed\r\n/);
});

test('Expect: 100-continue is answered by the application', async () => {
  app.received = '';
  app.answer = (socket, text) => {
    if (text.startsWith('POST')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    socket.once('data', () => socket.write(OK));
  };
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const first = await talk(
    socket,
    request('POST /e', 'Content-Length: 4\r\nExpect: 100-continue\r\n'),
    (text) => text.includes('\r\n\r\n'),
  );
  assert.match(first, /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  assert.match(await talk(socket, 'body', isWholeAnswer), /^HTTP\/1\.1 200 OK/);
  assert.ok(app.received.endsWith('body'));
  socket.destroy();
});

test('HEAD, 204 and 304 have no body, and the connection goes on', async () => {
  const answers: Record<string, string> = {
    '/h': 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
    '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/304': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: "x"\r\n\r\n',
    '/end': OK,
  };
  app.answer = (socket, text) => {
    socket.write(answers[/^\S+ (\S+)/.exec(text)?.[1] ?? ''] ?? '');
  };
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const raw = request('HEAD /h') + request('GET /204') + request('GET /304') + request('GET /end');
  const text = await talk(socket, raw, (text) => text.endsWith('ok'));
  assert.equal(
    text.match(/^HTTP\/1\.1 \d{3}/gm)?.join(),
    'HTTP/1.1 200,HTTP/1.1 204,HTTP/1.1 304,HTTP/1.1 200',
  );
  assert.match(text, /Content-Length: 1000/);
  socket.destroy();
});

test('an early answer reaches the caller, and then the connection ends', async () => {
  app.answer = (socket) => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const text = await talk(socket, `${request('POST /e', 'Content-Length: 100000\r\n')}start`);
  assert.match(text, /^HTTP\/1\.1 413 [^]*connection: close\r\n[^]*big$/);
});

test('a caller that half-closes still gets its answer', async () => {
  app.answer = (socket) => setImmediate(() => socket.write(OK));
  const socket = connect({
    port: pair.caller.outboundPort ?? 0,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const answer = talk(socket, request('GET /half'));
  socket.end();
  assert.match(await answer, /200 OK[^]*ok$/);
});

test('pipelined requests before a half-close are all answered, and then the end', async () => {
  app.answer = (socket, text) => {
    const path = /^\S+ (\S+)/.exec(text)?.[1] ?? '';
    setImmediate(() => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${path}`));
  };
  const port = pair.caller.outboundPort ?? 0;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const answers = talk(socket, request('GET /1') + request('GET /2') + request('GET /3'));
  socket.end();
  const text = await answers;
  assert.equal(
    text
      .match(/\r\n\r\n\/\d/g)
      ?.map((match) => match.trim())
      .join(''),
    '/1/2/3',
  );
  assert.equal(text.match(/connection: close/g)?.length, 1);
});

test('half a request before the end is none', async () => {
  app.received = '';
  const socket = connect({
    port: pair.caller.outboundPort ?? 0,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const answer = talk(socket, request('POST /half', 'Content-Length: 10\r\n') + 'abc');
  socket.end();
  assert.equal(await answer, '');
});

test('a kept connection that the application closed is not the caller’s problem', async () => {
  app.answer = reply;
  await ask(pair.caller.outboundPort, request('GET /warm'));
  app.answer = (socket) => {
    // Closes instead of answering, but only on the connection that had answered before.
    app.answer = reply;
    socket.destroy();
  };
  assert.match(await ask(pair.caller.outboundPort, request('GET /again')), /200 OK/);
});

test('interim answers pass', async () => {
  const text = await new Promise<string>((resolve) => {
    app.answer = (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`);
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    talk(socket, request('GET /hints'), (text) => text.endsWith('ok')).then((text) => {
      socket.destroy();
      resolve(text);
    });
  });
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK/);
});

test('a caller that goes away: a quick answer is dropped, a slow one is cut off', async () => {
  let cut = false;
  const leave = async (path: string): Promise<void> => {
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    const before = app.received.length;
    socket.write(request(`GET ${path}`));
    while (app.received.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    // A reset: the end alone could be a caller that half-closed and waits.
    socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 60));
  };
  await exchange(request('GET /'), reply);
  app.answer = (socket, text) => {
    if (text.startsWith('GET /quick')) setTimeout(() => socket.write(OK), 20);
    else socket.once('end', () => (cut = true));
  };
  const before = app.connections;
  await leave('/quick');
  assert.equal(app.connections, before);
  await leave('/slow');
  assert.equal(app.connections, before, 'the connection of the dropped answer was used again');
  for (let i = 0; i < 100 && !cut; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(cut);
  assert.doesNotMatch(await exchange(request('GET /next'), reply), /stolen/);
});

test('bytes after an answer poison the connection, never the next answer', async () => {
  const text = await exchange(request('GET /p'), (socket) => {
    socket.write(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`);
  });
  assert.ok(text.endsWith('ok'));
  const next = await exchange(request('GET /q'), reply);
  assert.doesNotMatch(next, /stolen/);
});

test('a large body is carried, not kept: a slow reader slows its writer', async () => {
  const size = 64 * 1024 * 1024;
  let written = 0;
  app.answer = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const block = Buffer.alloc(1024 * 1024);
    const more = (): void => {
      while (written < size) {
        written += block.length;
        if (!socket.write(block)) break;
      }
      if (written < size) socket.once('drain', more);
    };
    more();
  };
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  socket.pause();
  socket.write(request('GET /big'));
  // Until nothing moves any more: every buffer on the way is full.
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(written < size / 2, `${written} of ${size} bytes were taken from the application`);
  let got = 0;
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      got += chunk.length;
      if (got >= size) resolve();
    });
    socket.resume();
  });
  socket.destroy();
});

test('a large upload arrives whole', async () => {
  const size = 8 * 1024 * 1024;
  let got = 0;
  const sink = createServer((socket) => {
    socket.on('data', (chunk) => {
      got += chunk.length;
      if (got >= size) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    socket.on('error', () => {
      // Told by what arrived.
    });
  });
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  const upload = await createFakePair({
    application: { port: (sink.address() as AddressInfo).port },
  });
  const socket = connect(upload.caller.outboundPort ?? 0, '127.0.0.1');
  const head = Buffer.from(request('PUT /up', `Content-Length: ${size}\r\n`));
  const text = await talk(socket, Buffer.concat([head, Buffer.alloc(size, 'a')]), isWholeAnswer);
  assert.match(text, /200 OK/);
  assert.equal(upload.orders.records[0]?.bytesIn, size);
  socket.destroy();
  await upload.close();
  sink.close();
});

test('an answer that its caller does not take ends, and the record does not blame the server', async () => {
  const timeouts = { idleMs: 700 };
  const stream = (to: Writable): void => {
    const more = (): void => {
      while (!to.destroyed && to.write(Buffer.alloc(65_536)));
      if (!to.destroyed) to.once('drain', more);
    };
    to.on('error', () => to.destroy());
    more();
  };
  const h2Application = await startH2Application((answer) => {
    answer.respond({ ':status': 200 });
    stream(answer);
  });
  const http1 = await createFakePair({ application: (_, answer) => stream(answer), timeouts });
  const http2 = await createProtocolPair('http2', h2Application, { timeouts });
  const socket = connect(http1.caller.outboundPort ?? 0, '127.0.0.1').pause();
  socket.write(request('GET /big'));
  const session = connectH2(http2.caller.outboundPort);
  // Nobody reads it, so its window is never opened again.
  const unread = session.request({ ':path': '/big', ':authority': 'orders' });
  unread.on('error', () => unread.destroy());
  for (const { orders } of [http1, http2]) {
    while (orders.records.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([orders.records[0]?.reason, orders.records[0]?.status], ['caller_gone', 200]);
  }
  socket.destroy();
  session.destroy();
  await Promise.all([http1.close(), http2.close()]);
  h2Application.close();
});
