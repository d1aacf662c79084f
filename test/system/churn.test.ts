// A thousand connections opened and dropped a second, and readers that do not read: no socket, permit or memory is kept,
// and nobody else feels it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type CountingApplication,
  call,
  createSidecars,
  type FaultProcess,
  socketsOf,
  startCountingApplication,
} from './fault-mesh.ts';

// `npm run test:long` churns for the whole minute.
const CHURN_MS = Number(process.env['PALISADE_CHURN_SECONDS'] ?? 12) * 1000;
const PER_SECOND = 1_000;
/** Buffers that are used again: 16 of 128 KiB to gather writes in, 8 of 64 KiB for what waits, and what V8 has not given back. */
const SPARE_BUFFERS_MB = 4;
/** A connection to the application that a pool keeps, with the tunnel's stream before it. */
const POOLED_MB = 1 / 16;
const GET = 'GET / HTTP/1.1\r\nHost: orders\r\nX-Id: churn\r\n\r\n';

const sidecars = createSidecars();
let application: CountingApplication;
let server: FaultProcess;
let caller: FaultProcess;

before(async () => {
  application = await startCountingApplication();
  server = await sidecars.start('orders', { protocol: 'http', appPort: application.port });
  const { inboundPort, hbonePort } = server.ports;
  caller = await sidecars.start('web', {
    protocol: 'http',
    endpoints: [{ host: '127.0.0.1', port: inboundPort, hbonePort }],
  });
});
after(() => {
  sidecars.close();
  application.close();
});

/** Ways to leave: after a whole exchange, amid a request, amid an answer, at once, or with a broken handshake. */
const LEAVERS: readonly ((socket: Socket) => void)[] = [
  (socket) => {
    socket.write(GET);
    socket.once('data', () => socket.destroy());
  },
  (socket) => {
    socket.write(GET);
    setImmediate(() => socket.resetAndDestroy());
  },
  (socket) => {
    socket.write('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 100000\r\n\r\nhalf');
    setTimeout(() => socket.resetAndDestroy(), 5);
  },
  (socket) => socket.resetAndDestroy(),
  (socket) => {
    socket.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc');
    setTimeout(() => socket.destroy(), 5);
  },
];

test(`${PER_SECOND} connections opened and dropped a second leave nothing behind`, async (context) => {
  // Warm: compiled code and pools are not leaks.
  await churn(3_000);
  await settled();
  const before = await measure();
  const agent = new Agent({ keepAlive: true });
  let slowest = 0;
  let isOver = false;
  const bystander = (async () => {
    while (!isOver) {
      const answer = await call(caller.ports.outboundPort, 'GET', agent);
      assert.equal(answer.status, 200, answer.body);
      slowest = Math.max(slowest, answer.tookMs);
      await delay(20);
    }
  })();
  const opened = await churn(CHURN_MS);
  isOver = true;
  await bystander;
  agent.destroy();
  await settled();
  const now = await measure();
  assert.ok(opened >= (CHURN_MS / 1000) * PER_SECOND * 0.5, `only ${opened} were opened`);
  // A machine that many share makes everybody wait; a bystander must not wait for a time-out.
  const limitMs = 2_000 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
  assert.ok(slowest < limitMs, `a bystander waited ${slowest} ms`);
  for (const side of ['caller', 'server'] as const) {
    const [was, is] = [before[side], now[side]];
    // Pools keep as many connections to the application as there were calls at once, more on a busy machine; each way to leave
    // is taken by a fifth of all, so that what keeps one open for any of them keeps thousands.
    const pooled = is.sockets - was.sockets;
    assert.ok(pooled <= opened / 20, `${side}: ${was.sockets} → ${is.sockets} sockets`);
    assert.equal(is.open, 0, `${side}: connections counted that are not there`);
    const spareMb = SPARE_BUFFERS_MB + Math.max(0, pooled) * POOLED_MB;
    const told = `${side}: ${was.heldMb} → ${is.heldMb} MB are held, ${pooled} more sockets`;
    assert.ok(is.heldMb <= was.heldMb + spareMb, told);
    context.diagnostic(`${side}: ${JSON.stringify(was)} → ${JSON.stringify(is)}`);
  }
});

test('a caller that does not read, and one that does not write, cost memory that is bounded', async () => {
  const big = createServer((socket) => {
    socket.on('error', () => {
      // The sidecar lets go of it.
    });
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n');
      const chunk = Buffer.alloc(1024 * 1024);
      const more = (): void => {
        while (socket.writable && socket.write(chunk));
      };
      socket.on('drain', more);
      more();
    });
  });
  const port = await listening(big);
  const slowServer = await sidecars.start('orders', { protocol: 'http', appPort: port });
  const { inboundPort, hbonePort } = slowServer.ports;
  const slowCaller = await sidecars.start('web', {
    protocol: 'http',
    endpoints: [{ host: '127.0.0.1', port: inboundPort, hbonePort }],
  });
  const [callerBefore, serverBefore] = [await slowCaller.look(), await slowServer.look()];
  const sockets = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const socket = connect(slowCaller.ports.outboundPort, '127.0.0.1');
      socket.on('error', () => {
        // Ended with the processes.
      });
      socket.write(GET);
      await once(socket, 'readable');
      return socket;
    }),
  );
  await delay(1_500);
  const grown = {
    caller: (await slowCaller.look()).rss - callerBefore.rss,
    server: (await slowServer.look()).rss - serverBefore.rss,
  };
  // 50 answers of 64 MB are asked for and none is read: what is held is windows and socket buffers.
  for (const [side, bytes] of Object.entries(grown)) {
    assert.ok(
      bytes < 100 * 2 ** 20,
      `${side}: ${Math.round(bytes / 2 ** 20)} MB for 50 slow readers`,
    );
  }
  for (const socket of sockets) socket.destroy();
  slowCaller.kill();
  slowServer.kill();
  big.close();
});

async function churn(forMs: number): Promise<number> {
  const port = caller.ports.outboundPort;
  const inbound = server.ports.inboundPort;
  const end = performance.now() + forMs;
  const startedAt = performance.now();
  let opened = 0;
  while (performance.now() < end) {
    const due = ((performance.now() - startedAt) / 1000) * PER_SECOND;
    for (; opened < due; opened++) {
      const leave = LEAVERS[opened % LEAVERS.length] as (socket: Socket) => void;
      // The broken handshake goes where handshakes are expected.
      const isHandshake = opened % LEAVERS.length === LEAVERS.length - 1;
      const socket = connect(isHandshake ? inbound : port, '127.0.0.1', () => leave(socket));
      socket.on('error', () => {
        // Dropped connections are the test.
      });
    }
    await delay(10);
  }
  return opened;
}

/** Waits until answers that nobody waits for have ended and idle connections were swept. */
async function settled(): Promise<void> {
  for (let i = 0; i < 30; i++) {
    await delay(500);
    if ((await measured(caller)).open === 0 && i >= 4) return;
  }
}

type Measured = {
  readonly sockets: number;
  readonly open: number;
  readonly heldMb: number;
  readonly rssMb: number;
};

async function measure(): Promise<{ readonly caller: Measured; readonly server: Measured }> {
  return { caller: await measured(caller), server: await measured(server) };
}

async function measured(process: FaultProcess): Promise<Measured> {
  const { metrics, rss, held } = await process.look();
  const opens = [
    ...metrics.matchAll(/^palisade_connections\{side="(\w+)",protocol="http"\} (\d+)/gm),
  ];
  const side = process === caller ? 'outbound' : 'inbound';
  const open = Number(opens.find((match) => match[1] === side)?.[2] ?? 0);
  // The server's side keeps connections of the caller's pool, which are streams of one tunnel.
  const idle = process === server ? open : 0;
  return {
    sockets: socketsOf(process.pid),
    open: open - idle,
    heldMb: Math.round((held / 2 ** 20) * 10) / 10,
    rssMb: Math.round(rss / 2 ** 20),
  };
}

async function listening(origin: Server): Promise<number> {
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  return (origin.address() as { port: number }).port;
}
