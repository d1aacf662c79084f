// Certificates that live ten seconds, so that each side has a new one every five, under calls that may not fail.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { answering } from './applications.ts';
import { startTestMesh } from './mesh.ts';

const SECONDS = 17;

test('leaves rotate every 5 s under load, and no call fails', async () => {
  const mesh = await startTestMesh();
  try {
    // Before they start: what has a certificate of an hour asks for the next one in half an hour.
    await mesh.apply(`${POLICY}${registration('server')}${registration('client')}`);
    await mesh.run('server', answering("s.end('hello')"));
    const client = await mesh.run('client', ['sleep', '600']);
    const serials = new Set<string>();
    const failed: string[] = [];
    let served = 0;
    const agent = new Agent({ keepAlive: true });
    const until = Date.now() + SECONDS * 1000;
    while (Date.now() < until) {
      const status = await call(client.ports.outboundPort, agent);
      if (status === '200') served++;
      else failed.push(status);
      serials.add(serialOf(mesh.dataDir));
      await delay(10);
    }
    agent.destroy();
    assert.deepEqual(failed, []);
    assert.ok(served > 100, `${served} calls`);
    // One at least every six seconds.
    assert.ok(serials.size >= 3, `${serials.size} certificates`);
  } finally {
    await mesh.close();
  }
});

const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server, namespace: default }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }] }] }
`;

// More selectors than the one that `run` makes by itself, so that this one is taken.
function registration(name: string): string {
  const unix = [`unix:uid:${process.getuid?.() ?? 0}`, `unix:gid:${process.getgid?.() ?? 0}`];
  const selectors = [`palisade:service:default/${name}`, ...unix];
  return `---
apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: short-${name}, namespace: default }
spec: { spiffeId: 'spiffe://cluster.local/ns/default/sa/${name}', selectors: ${JSON.stringify(selectors)}, ttl: 10s }
`;
}

function serialOf(dataDir: string): string {
  const path = join(dataDir, 'proxies', 'default.server', 'identity.json');
  const { chainPem } = JSON.parse(readFileSync(path, 'utf8')) as { chainPem: string };
  return new X509Certificate(chainPem).serialNumber;
}

function call(port: number, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    request({ port, path: 'http://server/', headers: { host: 'server' }, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(String(response.statusCode)));
      response.on('error', (error) => resolve(error.message));
    })
      .on('error', (error) => resolve(error.message))
      .end();
  });
}
