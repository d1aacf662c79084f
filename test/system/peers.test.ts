// Programs that nobody here wrote, behind sidecars: who may call is served, everybody else is not, whatever happens to
// the control plane.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  curlFrom,
  findProgram,
  finish,
  freePort,
  type Service,
  sidecarOf,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import { until, untilStatus } from './until.ts';

const POLICIES = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: files }
spec:
  selector: { matchLabels: { app: files } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }]
      to: [{ operation: { methods: [GET], paths: [/open/*] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: pages }
spec:
  selector: { matchLabels: { app: pages } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }]
`;

describe('python, nginx, curl and redis behind sidecars', () => {
  let mesh: TestMesh;
  let client: Service;
  let stranger: Service;
  const folder = mkdtempSync(join(tmpdir(), 'palisade-peers-'));

  before(async () => {
    mkdirSync(join(folder, 'open'));
    mkdirSync(join(folder, 'closed'));
    writeFileSync(join(folder, 'open', 'a.txt'), 'an open page\n');
    writeFileSync(join(folder, 'closed', 'a.txt'), 'a closed page\n');
    mesh = await startTestMesh();
    const files = [
      'sh',
      '-c',
      `exec python3 -m http.server "$PORT" --bind 127.0.0.1 --directory ${folder}`,
    ];
    client = await mesh.run('client', ['sleep', '600']);
    stranger = await mesh.run('stranger', ['sleep', '600']);
    await mesh.run('files', files);
    await mesh.apply(POLICIES);
    await untilStatus(200, () => curlFrom(client, 'http://files/open/a.txt'));
  });
  after(async () => {
    await mesh.close();
    rmSync(folder, { recursive: true });
  });

  test('what a policy allows is served, byte for byte', async () => {
    const answer = await curlFrom(client, 'http://files.default.svc.cluster.local/open/a.txt');
    assert.equal(answer.status, 200);
    assert.equal(answer.body, 'an open page\n');
  });

  test('a denial is a 403 with an id that explain resolves', async () => {
    const answer = await curlFrom(client, 'http://files/closed/a.txt');
    assert.equal(answer.status, 403);
    assert.match(answer.headers, /x-palisade-reason: policy_denied/);
    const id = /x-palisade-denial: (\S+)/.exec(answer.headers)?.[1] ?? '';
    const explained = await untilStatus(0, () => mesh.cli('explain', id, '-o', 'json'));
    const detail = JSON.parse(explained.stdout);
    assert.equal(detail.record.path, '/closed/a.txt');
    assert.equal(detail.explanation.decision.verdict, 'deny');
    assert.notEqual(detail.explanation.smallestChange, undefined);
    const log = await mesh.cli('log', '--denied', '-o', 'json');
    assert.ok(log.stdout.includes(id), log.stdout);
  });

  test('another identity is denied where one is allowed', async () => {
    assert.equal((await curlFrom(stranger, 'http://files/open/a.txt')).status, 403);
  });

  test('check says what the proxies do', async () => {
    const allowed = await mesh.cli(
      'check',
      '--from',
      'client',
      '--to',
      'files',
      '--path',
      '/open/a.txt',
    );
    assert.equal(allowed.status, 0, allowed.stderr);
    const denied = await mesh.cli(
      'check',
      '--from',
      'stranger',
      '--to',
      'files',
      '--path',
      '/open/a.txt',
    );
    assert.equal(denied.status, 1, denied.stderr);
  });

  test('plaintext to the inbound port gets nothing', async () => {
    const { inboundPort } = sidecarOf(mesh, 'files');
    const text = await exchange(inboundPort, 'GET /open/a.txt HTTP/1.1\r\nhost: files\r\n\r\n');
    assert.equal(text, '');
  });

  test('a server with another identity than the service is not talked to', async () => {
    // `decoy` says that only somebody else may serve it, so its own sidecar is the wrong server.
    await mesh.run('decoy', ['sleep', '600']);
    await mesh.apply(`
apiVersion: palisade.dev/v1
kind: Service
metadata: { name: decoy }
spec:
  ports: [{ name: http, port: 80, protocol: http }]
  identities: ["spiffe://cluster.local/ns/default/sa/somebody-else"]
`);
    const answer = await until('the wrong server is found out', async () => {
      const got = await curlFrom(client, 'http://decoy/');
      return got.headers.includes('upstream_identity_mismatch') && got;
    });
    assert.equal(answer.status, 503);
  });

  test('unknown names are 404 and nothing leaves for the network', async () => {
    const answer = await curlFrom(client, 'http://example.org/');
    assert.equal(answer.status, 404);
    assert.match(answer.headers, /no_such_service/);
  });

  test('nginx serves through the mesh, keeps connections, takes large bodies', async (t) => {
    const nginx = await findProgram('nginx');
    if (nginx === undefined) return t.skip('nginx is not installed');
    const port = await freePort();
    const config = join(folder, 'nginx.conf');
    writeFileSync(config, nginxConfig(folder, port));
    writeFileSync(join(folder, 'big.bin'), Buffer.alloc(8 * 1024 * 1024, 7));
    await mesh.run('pages', [nginx, '-c', config], ['--app-port', String(port)]);
    const answer = await untilStatus(200, () => curlFrom(client, 'http://pages/open/a.txt'));
    assert.equal(answer.body, 'an open page\n');
    const proxy = `http://127.0.0.1:${client.ports.outboundPort}`;
    const big = await finish([
      'sh',
      '-c',
      `curl -sS --proxy ${proxy} http://pages/big.bin | sha256sum`,
    ]);
    const direct = await finish(['sh', '-c', `sha256sum < ${folder}/big.bin`]);
    assert.equal(big.stdout, direct.stdout);
  });

  test('redis is spoken to over a TCP port of its Service', async (t) => {
    const [server, cli] = [await findProgram('redis-server'), await findProgram('redis-cli')];
    if (server === undefined || cli === undefined) return t.skip('redis is not installed');
    const [port, local, denied] = [await freePort(), await freePort(), await freePort()];
    await mesh.apply(redisPolicies());
    await mesh.run(
      'store',
      [server, '--port', String(port), '--save', '', '--dir', folder],
      ['--app-port', String(port)],
    );
    await mesh.run('reader', ['sleep', '600'], ['--upstream', `store:6379=${local}`]);
    await mesh.run('snoop', ['sleep', '600'], ['--upstream', `store:6379=${denied}`]);
    await until('redis answers', async () => {
      const done = await finish([cli, '-p', String(local), 'set', 'k', 'v']);
      return done.stdout.trim() === 'OK';
    });
    assert.equal((await finish([cli, '-p', String(local), 'get', 'k'])).stdout.trim(), 'v');
    const refused = await finish([cli, '-p', String(denied), 'get', 'k']);
    assert.doesNotMatch(refused.stdout, /^v$/m);
    const log = await until('the denial', async () => {
      const done = await mesh.cli('log', '--denied', '--to', 'store', '-o', 'json');
      return done.stdout.includes('sa/snoop') && done;
    });
    assert.match(log.stdout, /"kind":"tcp"/);
  });

  test('policy changes while traffic runs: no request that policy allows fails', async () => {
    const traffic = { stop: false, served: 0, failed: [] as string[] };
    const loop = (async () => {
      while (!traffic.stop) {
        const answer = await curlFrom(client, 'http://files/open/a.txt');
        if (answer.status === 200) traffic.served += 1;
        else traffic.failed.push(`${answer.status} ${answer.body}`);
      }
    })();
    for (let round = 0; round < 6; round += 1) {
      await mesh.apply(POLICIES.replace('paths: [/open/*]', `paths: [/open/*, /round/${round}]`));
    }
    traffic.stop = true;
    await loop;
    assert.deepEqual(traffic.failed, []);
    assert.ok(traffic.served > 10, String(traffic.served));
  });

  test('the control plane is killed: enforcement and traffic go on', async () => {
    await mesh.up.stop('SIGKILL');
    for (let i = 0; i < 5; i += 1) {
      assert.equal((await curlFrom(client, 'http://files/open/a.txt')).status, 200);
      assert.equal((await curlFrom(client, 'http://files/closed/a.txt')).status, 403);
      assert.equal((await curlFrom(stranger, 'http://files/open/a.txt')).status, 403);
      await delay(100);
    }
  });
});

/** What a peer answers to raw bytes until it closes. */
function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
    socket.setTimeout(5000, () => socket.destroy());
  });
}

function nginxConfig(folder: string, port: number): string {
  const user = process.getuid?.() === 0 ? `user root; ` : ``;
  return `${user}daemon off; pid ${folder}/nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
server { listen 127.0.0.1:${port}; root ${folder}; } }
`;
}

function redisPolicies(): string {
  return `
apiVersion: palisade.dev/v1
kind: Service
metadata: { name: store }
spec:
  ports: [{ name: redis, port: 6379, protocol: tcp }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: store }
spec:
  selector: { matchLabels: { app: store } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/reader] } }]
      to: [{ operation: { ports: ["6379"] } }]
`;
}
