import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { createFakeMesh } from './fake-mesh.ts';
import type { PipeEvents } from './pipe.ts';
import { SocketPipe, writeTogether } from './socket-pipe.ts';

const mesh = createFakeMesh();
const own = mesh.issue('orders');

function collect(into: string[]): PipeEvents {
  return {
    onData: (chunk) => into.push(chunk.toString('latin1')),
    onEnd: () => into.push('end'),
    onDrain: () => undefined,
    onClose: () => undefined,
  };
}

/** Passes bytes on so late that what a client sends right after its handshake arrives together with the last of it. */
async function startSlowRelay(target: number) {
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    const held: Buffer[] = [];
    near.on('data', (chunk: Buffer) => {
      held.push(chunk);
      if (held.length === 1) setTimeout(() => far.write(Buffer.concat(held.splice(0))), 30);
    });
    far.pipe(near);
    near.on('close', () => far.destroy());
    for (const socket of [near, far]) {
      socket.on('error', () => {
        // Ends with its test.
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** The server's end of a TLS connection whose client has sent `text` together with its handshake. */
async function withEarlyBytes(
  text: string,
  use: (socket: TLSSocket) => Promise<void>,
): Promise<void> {
  const server = createTlsServer({ key: own.privateKeyPem, cert: own.chainPem });
  let used: Promise<void> | undefined;
  server.on('secureConnection', (socket) => {
    used = use(socket).finally(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = await startSlowRelay((server.address() as AddressInfo).port);
  const client: Socket = connectTls({
    host: '127.0.0.1',
    port: relay.port,
    ca: mesh.root.certificatePem,
    checkServerIdentity: () => undefined,
  });
  client.write(text);
  await once(client, 'secureConnect');
  for (let turn = 0; turn < 100 && used === undefined; turn += 1) await sleep(10);
  await used;
  client.destroy();
  relay.close();
  server.close();
}

test('what comes with the last of a TLS handshake is not lost to a paused connection', async () => {
  await withEarlyBytes('hold', async (socket) => {
    const pipe = new SocketPipe(socket);
    const told: string[] = [];
    pipe.pause();
    pipe.attach(collect(told));
    await sleep(100);
    assert.deepEqual(told, []);
    pipe.resume();
    for (let turn = 0; turn < 100 && told.length === 0; turn += 1) await sleep(10);
    assert.deepEqual(told, ['hold']);
  });
});

test('nor to one that nobody reads yet', async () => {
  await withEarlyBytes('early', async (socket) => {
    const pipe = new SocketPipe(socket);
    const told: string[] = [];
    await sleep(100);
    pipe.attach(collect(told));
    for (let turn = 0; turn < 100 && told.length === 0; turn += 1) await sleep(10);
    assert.deepEqual(told, ['early']);
  });
});

test('a reader that pauses at a chunk gets the rest when it resumes, in order', async () => {
  const text = 'x'.repeat(40_000);
  await withEarlyBytes(text, async (socket) => {
    const pipe = new SocketPipe(socket);
    let got = '';
    let isPaused = false;
    pipe.attach({
      ...collect([]),
      onData(chunk) {
        assert.equal(isPaused, false, 'a chunk while it was paused');
        got += chunk.toString('latin1');
        isPaused = true;
        pipe.pause();
        setTimeout(() => {
          isPaused = false;
          pipe.resume();
        }, 5);
      },
    });
    for (let turn = 0; turn < 300 && got.length < text.length; turn += 1) await sleep(10);
    assert.equal(got.length, text.length);
  });
});

/** Pipes of some plain connections, and what arrives at the other ends. */
async function withPlainPipes(
  count: number,
  use: (pipes: readonly SocketPipe[], arrived: readonly string[]) => Promise<void>,
): Promise<void> {
  const arrived: string[] = Array.from({ length: count }, () => '');
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pipes: SocketPipe[] = [];
  const ends: Socket[] = [];
  for (let index = 0; index < count; index++) {
    const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = await Promise.all([once(server, 'connection'), once(near, 'connect')]);
    const far = accepted[0] as Socket;
    far.on('data', (chunk) => {
      arrived[index] += chunk.toString('latin1');
    });
    far.on('end', () => {
      arrived[index] += '|';
    });
    far.on('error', () => {
      // Some tests reset it.
    });
    pipes.push(new SocketPipe(near));
    ends.push(near, far);
  }
  await use(pipes, arrived).finally(() => {
    for (const socket of ends) socket.destroy();
    server.close();
  });
}

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !isSo(); turn += 1) await sleep(10);
}

test('writes together go out when the work is done, each once and in order', async () => {
  await withPlainPipes(3, async (pipes, arrived) => {
    const [first, second, third] = pipes as [SocketPipe, SocketPipe, SocketPipe];
    const sent: string[] = [];
    const note = (bytes: Buffer): void => {
      sent.push(bytes.toString());
    };
    const answer = writeTogether(() => {
      assert.equal(first.write(Buffer.from('a'), note), true);
      second.write(Buffer.from('b'), note);
      assert.equal(second.unsentBytes, 1, 'nothing is sent yet');
      assert.deepEqual(sent, []);
      // A second write, lent bytes and an end come after what waits.
      first.write(Buffer.from('c'), note);
      second.writeLent(Buffer.from('.d.'), 1, 2);
      second.end();
      writeTogether(() => third.write(Buffer.from('e'), note));
      assert.equal(third.unsentBytes, 1, 'inner work is part of the outer');
      return 'done';
    });
    assert.equal(answer, 'done');
    assert.deepEqual(sent.toSorted(), ['a', 'b', 'c', 'e']);
    assert.deepEqual(
      pipes.map((pipe) => pipe.unsentBytes),
      [0, 0, 0],
    );
    first.write(Buffer.from('f'));
    await until(() => arrived.join() === 'acf,bd|,e');
    assert.deepEqual(arrived, ['acf', 'bd|', 'e']);
  });
});

test('a write that waits gives its bytes back where the connection is reset or the work fails', async () => {
  await withPlainPipes(2, async (pipes, arrived) => {
    const [reset, failed] = pipes as [SocketPipe, SocketPipe];
    const sent: string[] = [];
    const note = (bytes: Buffer): void => {
      sent.push(bytes.toString());
    };
    assert.throws(() =>
      writeTogether(() => {
        reset.write(Buffer.from('a'), note);
        reset.reset();
        failed.write(Buffer.from('b'), note);
        throw new Error('of the work');
      }),
    );
    assert.deepEqual(sent, ['a', 'b']);
    await until(() => arrived[1] === 'b');
    assert.deepEqual(arrived, ['', 'b']);
  });
});
