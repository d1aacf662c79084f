// Debian's HAProxy before a sidecar, speaking PROXY protocol of both versions: policy judges whom it connected for.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { answering } from './applications.ts';
import {
  findProgram,
  finish,
  freePort,
  type Running,
  type Service,
  start,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import { until } from './until.ts';

const RESOURCES = `apiVersion: palisade.dev/v1
kind: Service
metadata: { name: shop }
spec:
  ports: [{ port: 80, protocol: http, proxyProtocol: { from: [127.0.0.1] } }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: shop }
spec: { selector: { matchLabels: { app: shop } }, mtls: { mode: PERMISSIVE } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: shop }
spec:
  selector: { matchLabels: { app: shop } }
  action: ALLOW
  rules: [{ from: [{ source: { remoteIpBlocks: [127.0.0.2] } }] }]
`;

describe('HAProxy before a sidecar', () => {
  let mesh: TestMesh;
  let shop: Service;
  let balancer: Running | undefined;
  let hasHaproxy = false;
  const folder = mkdtempSync(join(tmpdir(), 'palisade-haproxy-'));
  const ports = { v1: 0, v2: 0, none: 0 };

  before(async () => {
    const haproxy = await findProgram('haproxy');
    if (haproxy === undefined) return;
    hasHaproxy = true;
    mesh = await startTestMesh();
    shop = await mesh.run('shop', answering("s.end('in')"));
    await mesh.apply(RESOURCES);
    const parts = [
      'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s',
    ];
    for (const [name, flag] of [
      ['v1', 'send-proxy'],
      ['v2', 'send-proxy-v2 proxy-v2-options crc32c'],
      ['none', ''],
    ] as const) {
      ports[name] = await freePort();
      const server = `server s 127.0.0.1:${shop.ports.inboundPort} ${flag}`;
      parts.push(`listen ${name}\n  bind 127.0.0.1:${ports[name]}\n  ${server}`);
    }
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, `${parts.join('\n')}\n`);
    balancer = start([haproxy, '-f', file]);
    await until('HAProxy', async () => (await from('127.0.0.2', ports.v1)) === '200');
  });
  after(async () => {
    await balancer?.stop();
    await mesh?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The status that a caller with this address gets through the balancer's port; `000` for none. */
  async function from(ip: string, port: number): Promise<string> {
    const curl = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '5'];
    const done = await finish([...curl, '--interface', ip, `http://127.0.0.1:${port}/`]);
    return done.stdout;
  }

  for (const version of ['v1', 'v2'] as const) {
    test(`${version}: who is behind the balancer decides`, async (context) => {
      if (!hasHaproxy) return context.skip('needs haproxy');
      assert.equal(await from('127.0.0.2', ports[version]), '200');
      assert.equal(await from('127.0.0.3', ports[version]), '403');
    });
  }

  test('a balancer that was to say so and does not is not served', async (context) => {
    if (!hasHaproxy) return context.skip('needs haproxy');
    assert.equal(await from('127.0.0.2', ports.none), '000');
  });

  test('spoofing: the header of a caller that is no balancer counts for nothing', async (context) => {
    if (!hasHaproxy) return context.skip('needs haproxy');
    const curl = ['curl', '-s', '--max-time', '5', '-o', '/dev/null', '-w', '%{http_code}'];
    const url = `http://127.0.0.1:${shop.ports.inboundPort}/`;
    const direct = await finish([...curl, '--haproxy-protocol', '--interface', '127.0.0.2', url]);
    assert.equal(direct.stdout, '400');
  });
});
