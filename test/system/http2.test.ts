// Our HTTP/2 servers under h2spec, in cleartext and over mutual TLS: all of its 146 cases (`--strict`).
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { createProtocolPair, startH2Application } from '../../src/proxy/fake-http2.ts';
import type { FakePair } from '../../src/proxy/fake-pair.ts';
import { type GoPeer, goPeer } from './go-peers.ts';
import { finish } from './mesh.ts';

describe('h2spec', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-h2spec-'));
  let h2spec: GoPeer;
  let pair: FakePair;
  let application: Awaited<ReturnType<typeof startH2Application>>;

  before(async () => {
    h2spec = await goPeer('h2spec', folder);
    application = await startH2Application((stream) => {
      // Not before the request is whole: an answer would end what is wrong with the rest of it.
      stream.resume();
      stream.on('end', () => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, 'content-type': 'text/plain' });
        stream.end('an answer of some bytes');
      });
    });
    const upstreams = [{ service: 'orders', localPort: 0 }];
    pair = await createProtocolPair('http2', { port: application.port }, { upstreams });
  });
  after(async () => {
    await pair.close();
    application.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function check(port: number | undefined, flags: readonly string[]): Promise<void> {
    const path = h2spec.kind === 'found' ? h2spec.path : '';
    const to = ['--host', '127.0.0.1', '--port', `${port}`, '--timeout', '2'];
    const done = await finish(['timeout', '100', path, '--strict', ...to, ...flags]);
    const failures = done.stdout.slice(Math.max(0, done.stdout.indexOf('Failures')));
    assert.match(done.stdout, /\n146 tests, 146 passed, 0 skipped, 0 failed/, failures);
  }

  test('an application’s own connection, with prior knowledge', async (t) => {
    if (h2spec.kind === 'absent') return t.skip(h2spec.reason);
    await check(pair.caller.upstreamPorts[0], []);
  });

  test('another workload’s connection over mutual TLS, by ALPN', async (t) => {
    if (h2spec.kind === 'absent') return t.skip(h2spec.reason);
    const relay = await startRelay(pair);
    try {
      await check(relay.port, ['--tls', '--insecure']);
    } finally {
      relay.close();
    }
  });
});

// h2spec has no client certificates, so the workload's is shown by a relay that looks at no byte.
async function startRelay(
  pair: FakePair,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const { privateKeyPem: key, chainPem: cert } = pair.mesh.issue('web');
  const open = new Set<TLSSocket>();
  const server = createTlsServer({ key, cert, ALPNProtocols: ['h2'] }, (caller) => {
    const to = { host: '127.0.0.1', port: pair.server.inboundPort ?? 0 };
    const onward = connectTls({
      ...to,
      key,
      cert,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    caller.pipe(onward).pipe(caller);
    for (const [socket, other] of [[caller, onward] as const, [onward, caller] as const]) {
      open.add(socket);
      socket.on('error', () => {
        // Told by `close`, which always follows.
      });
      socket.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
