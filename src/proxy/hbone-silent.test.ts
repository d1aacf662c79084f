import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { ask, createFakePair } from './fake-pair.ts';

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 1\r\n\r\nx';

/** Carries connections to `to`, until those there are go silent both ways without an end. */
async function startRelay(to: () => number): Promise<{
  readonly port: number;
  readonly forget: () => void;
  readonly connections: () => number;
  readonly close: () => void;
}> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let count = 0;
  const server = createServer((near) => {
    count++;
    const far = connect(to(), '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => socket.destroy());
    near.pipe(far);
    far.pipe(near);
    pairs.add([near, far]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    forget() {
      for (const [near, far] of pairs) {
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
    close() {
      for (const both of pairs) for (const socket of both) socket.destroy();
      server.close();
    },
  };
}

test('a tunnel whose other end vanished without a word is given up, and calls go over another one', async () => {
  let hbonePort = 0;
  const relay = await startRelay(() => hbonePort);
  const pair = await createFakePair({
    application: (_, response) => response.end('ok'),
    timeouts: { headerMs: 300 },
    endpoints: (own) => {
      hbonePort = own.hbonePort ?? 0;
      return [{ ...own, hbonePort: relay.port }];
    },
  });
  const port = pair.caller.outboundPort;
  assert.match(await ask(port, GET), / 200 /);
  relay.forget();
  // It may have had its effect, so it is not sent again; nor does it wait for the time-out of its answer.
  assert.match(await ask(port, POST), / 502 [^]*upstream_failed/);
  assert.match(await ask(port, POST), / 200 /);
  assert.equal(pair.web.metrics.refused('tunnel_silent').value, 1);
  relay.forget();
  assert.match(await ask(port, GET), / 200 /, 'tried again by itself');
  assert.equal(relay.connections(), 3);
  await pair.close();
  relay.close();
});

test('a tunnel over which a call waits long for its answer is not silent: its other end says so', async () => {
  const pair = await createFakePair({
    application: (_, response) => void setTimeout(() => response.end('late'), 1_500),
    timeouts: { headerMs: 200 },
  });
  assert.match(await ask(pair.caller.outboundPort, GET), / 200 [^]*late/);
  assert.equal(pair.web.metrics.refused('tunnel_silent').value, 0);
  await pair.close();
});
