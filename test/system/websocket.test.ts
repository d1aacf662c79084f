// WebSocket through two real sidecars, between peers that nobody here wrote: `ws` of npm and Python's websockets.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { allow } from './allow.ts';
import { finish, freePort, type Running, start, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

const PEER = fileURLToPath(new URL('ws-peer.js', import.meta.url));
const PYTHON = process.env['WEBSOCKETS_PYTHON'] ?? '/usr/bin/python3';

const PYTHON_SERVER = `
import asyncio, sys, websockets
async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, '127.0.0.1', int(sys.argv[1]), max_size=2**22, subprotocols=['chat']):
        await asyncio.Future()
asyncio.run(main())
`;
const PYTHON_CLIENT = `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], max_size=2**22, subprotocols=['chat']) as socket:
        big = b'palisade' * 125000
        await socket.send('hello'); await socket.send(big)
        first = await socket.recv(); second = await socket.recv()
        await (await socket.ping('p'))
        print('echoed', ', '.join(['binary ' + str(second == big).lower(), 'pong p', 'text ' + first]), flush=True)
        await socket.close(4001, 'enough')
        print('closed', socket.close_code, flush=True)
asyncio.run(main())
`;
const ROOM = '{ paths: [/room] }';
const ECHOED = /echoed binary true, pong p, text hello/;

describe('WebSocket peers behind sidecars', () => {
  let mesh: TestMesh;
  let hasPython = false;
  const ports = { ws: 0, python: 0 };

  before(async () => {
    hasPython = (await finish([PYTHON, '-c', 'import websockets'])).status === 0;
    const serverPorts = { ws: await freePort(), python: await freePort() };
    mesh = await startTestMesh();
    const flags = (port: number) => ['--app-port', String(port)];
    const serve = [process.execPath, PEER, 'serve', String(serverPorts.ws)];
    await mesh.run('chat', serve, flags(serverPorts.ws));
    if (hasPython) {
      const servePython = [PYTHON, '-c', PYTHON_SERVER, String(serverPorts.python)];
      await mesh.run('snake', servePython, flags(serverPorts.python));
    }
    ports.ws = await freePort();
    ports.python = await freePort();
    const upstreams = ['--upstream', `chat=${ports.ws}`, '--upstream', `snake=${ports.python}`];
    await mesh.run('client', ['sleep', '3600'], upstreams);
    await mesh.apply(allow('chat', 'client', ROOM) + allow('snake', 'client', ROOM));
    await until('an echo', async () => /echoed/.test(await talk('ws', 'ws').catch(() => '')));
  });
  after(async () => {
    await mesh?.close();
  });

  /** What a client of one kind prints that talks to a server of the other. */
  async function talk(client: 'ws' | 'python', server: 'ws' | 'python', path = '/room') {
    const url = `ws://127.0.0.1:${ports[server]}${path}`;
    const command =
      client === 'ws' ? [process.execPath, PEER, 'talk', url] : [PYTHON, '-c', PYTHON_CLIENT, url];
    const { stdout, stderr } = await finish(command);
    return stdout + stderr;
  }

  for (const client of ['ws', 'python'] as const) {
    for (const server of ['ws', 'python'] as const) {
      test(`${client} to ${server}: text, a megabyte, ping and close codes`, async (context) => {
        const needsPython = client === 'python' || server === 'python';
        if (needsPython && !hasPython) return context.skip('needs python3-websockets');
        const printed = await talk(client, server);
        assert.match(printed, ECHOED);
        assert.match(printed, /closed 4001/);
      });
    }
  }

  test('a path that policy does not allow is not upgraded', async () => {
    assert.match(await talk('ws', 'ws', '/staff'), /Unexpected server response: 403/);
  });

  test('a withdrawn permit cuts the connection; its record has status 101', async () => {
    const url = `ws://127.0.0.1:${ports.ws}/room`;
    const peer: Running = start([process.execPath, PEER, 'talk', url, '--stay']);
    await peer.printed(ECHOED);
    const before = performance.now();
    await mesh.apply(allow('chat', 'client', '{ paths: [/elsewhere] }'));
    await peer.printed(/closed 1006/);
    assert.ok(performance.now() - before < 10_000);
    const record = await until('the record', async () => {
      const { stdout } = await mesh.cli('log', '--since', '1m', '-o', 'json');
      return stdout.split('\n').find((line) => /101/.test(line) && /policy_denied/.test(line));
    });
    assert.match(record, /"path":\s*"\/room"/);
  });
});
