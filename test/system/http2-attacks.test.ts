// HTTP/2 attacks on a real sidecar: each meets a limit, costs little, and does not keep others from being answered.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FLAG, FRAME, SETTING } from '../../src/protocol/http2/frames.ts';
import { HELLO, headers, settings } from '../../src/protocol/http2/raw-frames.ts';
import { FLOODED_SERVICE, FLOODS, floodOf, GET } from './http2-floods.ts';
import { freePort, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

const APPLICATION = fileURLToPath(new URL('big-answers.js', import.meta.url));

describe('HTTP/2 attacks on a sidecar', () => {
  let mesh: TestMesh;
  let web: Service;
  let port = 0;

  before(async () => {
    mesh = await startTestMesh();
    await mesh.run('orders', [process.execPath, APPLICATION]);
    port = await freePort();
    web = await mesh.run('web', ['sleep', '3600'], ['--upstream', `orders=${port}`]);
    await mesh.apply(FLOODED_SERVICE);
    await until('an answer', async () => (await ask()) === 'ok');
  });
  after(async () => {
    await mesh?.close();
  });

  /** A fresh request on a connection of its own. */
  function ask(): Promise<string> {
    return new Promise((resolve) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      let text = '';
      session.on('error', () => resolve(''));
      const stream = session.request({ ':path': '/small' });
      stream.setEncoding('latin1');
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('error', () => resolve(''));
      stream.on('close', () => {
        session.destroy();
        resolve(text);
      });
    });
  }

  const cpuMs = (): number => {
    const fields = readFileSync(`/proc/${web.ports.pid}/stat`, 'utf8').split(') ')[1]?.split(' ');
    return (Number(fields?.[11]) + Number(fields?.[12])) * 10;
  };
  const rssKb = (): number => {
    const status = readFileSync(`/proc/${web.ports.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  };

  async function attack(
    bytes: Buffer,
  ): Promise<{ readonly socket: Socket; readonly read: Buffer[] }> {
    const socket = connect(port, '127.0.0.1');
    const read: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => read.push(chunk));
    socket.on('error', () => {
      // The sidecar cuts attackers off.
    });
    socket.write(bytes);
    return { socket, read };
  }

  for (const [name, next] of Object.entries(FLOODS)) {
    test(`${name}: ends with GOAWAY, and others are answered meanwhile`, async (t) => {
      const flood = floodOf(next);
      const [cpu, rss] = [cpuMs(), rssKb()];
      const { socket, read } = await attack(flood);
      const startedAt = performance.now();
      assert.equal(await ask(), 'ok');
      const answered = performance.now() - startedAt;
      await until('its end', () => framesIn(Buffer.concat(read)).includes(FRAME.GOAWAY));
      socket.destroy();
      const spent = `${cpuMs() - cpu} ms CPU, ${rssKb() - rss} kB more`;
      t.diagnostic(`${spent}, a fresh request took ${answered.toFixed(0)} ms`);
    });
  }

  test('100 stalled streams of a megabyte are dropped within 8 s, and held little', async (t) => {
    await ask();
    const before = rssKb();
    const streams = Array.from({ length: 100 }, (_, index) => headers(2 * index + 1, GET));
    const { socket, read } = await attack(
      Buffer.concat([HELLO, settings([SETTING.INITIAL_WINDOW_SIZE, 0]), ...streams]),
    );
    const startedAt = performance.now();
    let most = before;
    const resets = (): number =>
      framesIn(Buffer.concat(read)).filter((type) => type === FRAME.RST_STREAM).length;
    while (resets() < 100 && performance.now() - startedAt < 9_000) {
      most = Math.max(most, rssKb());
      await delay(50);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    t.diagnostic(`dropped after ${seconds.toFixed(1)} s, ${most - before} kB more at most`);
    assert.equal(resets(), 100);
    assert.ok(seconds < 8, `${seconds} s`);
    assert.ok(most - before < 16_000, `${most - before} kB`);
    socket.destroy();
  });

  test('a preface that never comes ends within the header time-out, and half a one too', async () => {
    const half = await attack(HELLO.subarray(0, 20));
    const closed = new Promise<void>((resolve) => half.socket.once('close', () => resolve()));
    await Promise.race([closed, delay(14_000)]);
    assert.ok(half.socket.destroyed);
  });
});

/** The types of the frames in `bytes`. */
function framesIn(bytes: Buffer): readonly number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const type = bytes[at + 3] ?? 0;
    const isAck = type === FRAME.SETTINGS && ((bytes[at + 4] ?? 0) & FLAG.ACK) !== 0;
    if (!isAck) types.push(type);
  }
  return types;
}
