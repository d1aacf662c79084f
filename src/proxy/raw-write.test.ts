import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipeEvents } from './pipe.ts';
import { RawWriter } from './raw-write.ts';
import { SocketPipe } from './socket-pipe.ts';

const SILENT: PipeEvents = {
  onData: () => undefined,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
};

/** Our end of a connection as a pipe, and the peer's, which is not read until somebody does. */
async function connected(events: Partial<PipeEvents> = {}) {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  await once(socket, 'connect');
  const [peer] = await accepted;
  peer.on('error', () => {
    // A reset is what some of these tests are about.
  });
  const pipe = new SocketPipe(socket);
  pipe.attach({ ...SILENT, ...events });
  ends.push(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  return { pipe, socket, peer };
}

async function read(peer: Socket, length: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let count = 0;
  peer.on('data', (part: Buffer) => {
    parts.push(part);
    count += part.length;
  });
  // It was paused when it came.
  peer.resume();
  await until(() => count >= length);
  return Buffer.concat(parts);
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 300 && !holds(); turn++) await sleep(10);
  assert.ok(holds());
}

/** Bytes of which every place tells where it is. */
function numbered(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
  RawWriter.isWanted = true;
});

test('this Node.js lets plain connections be written to past their stream', async () => {
  const { socket } = await connected();
  assert.ok(RawWriter.of(socket, () => undefined));
});

// Whatever a pipe promises, it promises with and without its stream.
for (const isWanted of [true, false]) {
  describe(isWanted ? 'past the stream' : 'through the stream', () => {
    test('what a slow peer does not take waits, in order, and the writer hears when it may go on', async () => {
      RawWriter.isWanted = isWanted;
      let drains = 0;
      const { pipe, peer } = await connected({
        onDrain: () => {
          drains++;
        },
      });
      const bytes = numbered(24 * 1024 * 1024);
      const step = 1024 * 1024;
      let isFlowing = true;
      for (let at = 0; at < bytes.length; at += step) {
        // Every way to write, one behind the other, on when the peer is behind too.
        const third = Math.floor(step / 3);
        isFlowing = pipe.write(bytes.subarray(at, at + third));
        pipe.writeLent(bytes, at + third, at + third + 100);
        isFlowing = pipe.write(bytes.subarray(at + third + 100, at + step), () => undefined);
      }
      assert.equal(isFlowing, false);
      assert.equal(pipe.isBehind, true);
      assert.ok(pipe.unsentBytes > step);
      assert.equal(drains, 0);
      const got = await read(peer, bytes.length);
      assert.equal(Buffer.compare(got, bytes), 0);
      await until(() => drains > 0 && !pipe.isBehind && pipe.unsentBytes === 0);
      assert.equal(drains, 1);
    });

    test('bytes that were lent may be altered as soon as they were written', async () => {
      RawWriter.isWanted = isWanted;
      const { pipe, peer } = await connected();
      const lent = Buffer.alloc(64 * 1024);
      const sums: number[] = [];
      for (let round = 0; round < 200; round++) {
        lent.fill(round);
        sums.push(round);
        pipe.writeLent(lent, 0, lent.length);
        lent.fill(0xff);
      }
      const got = await read(peer, 200 * lent.length);
      assert.equal(got.length, 200 * lent.length);
      const seen = sums.map((round) => got[round * lent.length + lent.length - 1]);
      assert.deepEqual(seen, sums);
    });

    test('a peer that reset the connection ends it, once, with bytes under way or not', async () => {
      for (const size of [10, 32 * 1024 * 1024]) {
        RawWriter.isWanted = isWanted;
        let closes = 0;
        const { pipe, peer } = await connected({
          onClose: () => {
            closes++;
          },
        });
        pipe.write(Buffer.alloc(size));
        peer.resetAndDestroy();
        // Bytes written into a reset are an error, which is no exception and no second end.
        for (let turn = 0; turn < 100 && closes === 0; turn++) {
          pipe.write(Buffer.alloc(10));
          await sleep(5);
        }
        assert.equal(closes, 1);
        pipe.write(Buffer.alloc(10));
        assert.equal(pipe.writable, false);
        assert.equal(pipe.unsentBytes, 0);
        await sleep(20);
        assert.equal(closes, 1);
      }
    });

    test('destroyed with bytes under way, it gives them back and closes', async () => {
      RawWriter.isWanted = isWanted;
      let closes = 0;
      const { pipe } = await connected({
        onClose: () => {
          closes++;
        },
      });
      pipe.write(Buffer.alloc(32 * 1024 * 1024));
      assert.ok(pipe.unsentBytes > 0);
      pipe.destroy();
      await until(() => closes === 1);
    });
  });
}
