// Istio's own HBONE library at either end of a tunnel with real sidecars: CONNECT as ztunnels and waypoints send it, with
// their metadata, and their answers to ours.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import {
  createServer as createHttp,
  type Server as HttpServer,
  request as httpRequest,
} from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connectsOf, istioHbone, startTunnelEnd, type TunnelEnd } from './istio-hbone-peer.ts';
import { curlFrom, freePort, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

const ID = 'spiffe://cluster.local/ns/default/sa';
const LARGE = 8 * 1024 * 1024;
// As ztunnel's outbound side writes them.
const METADATA = {
  baggage:
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=web,service.name=web,service.version=v1,cloud.region=,cloud.availability_zone=',
  forwarded: 'for="10.0.0.1:1234";host=orders.default.svc.cluster.local',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-network': 'elsewhere',
  'x-istio-attributes': 'c291cmNl',
} as const;

describe('Istio’s HBONE library', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-hbone-'));
  const ends: TunnelEnd[] = [];
  let mesh: TestMesh;
  let orders: Service;
  let peer: readonly string[] = [];
  let absent: string | undefined;
  let http: HttpServer;
  let tcp: Server;
  let localPort = 0;

  before(async () => {
    const found = await istioHbone(folder);
    if (found.kind === 'absent') {
      absent = found.reason;
      return;
    }
    peer = found.command;
    [http, tcp] = await Promise.all([listening(echoing()), listening(measuring())]);
    mesh = await startTestMesh();
    await mesh.apply(SERVICES({ http: portOf(http), tcp: portOf(tcp) }));
    localPort = await freePort();
    const upstream = ['--upstream', `legacy:90=${localPort}`];
    const idle = ['sleep', '300'];
    [orders] = await Promise.all([
      mesh.run('orders', idle, ['--app-port', `${portOf(http)}`, ...upstream]),
      mesh.run('istio', idle),
      mesh.run('intruder', idle),
    ]);
  });
  after(async () => {
    await Promise.all(ends.map(({ running }) => running.stop()));
    await mesh?.close();
    http?.closeAllConnections();
    http?.close();
    tcp?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function end(role: 'client' | 'server', account: string, ...flags: string[]) {
    const started = await startTunnelEnd(peer, mesh, { role, account, flags });
    ends.push(started);
    return started;
  }

  /** A way into our sidecar of `orders`, which has to be that. */
  function into(account: string, authority: string, ...flags: string[]): Promise<TunnelEnd> {
    const proxy = `127.0.0.1:${orders.ports.hbonePort}`;
    const whom = ['-proxy', proxy, '-authority', authority, '-peer', `${ID}/orders`];
    return end('client', account, ...whom, ...flags);
  }

  const metadata = Object.entries(METADATA).flatMap(([name, value]) => [
    '-header',
    `${name}=${value}`,
  ]);

  test('its client: by the workload’s address as ztunnels ask, by the service’s name as waypoints do', async (t) => {
    if (absent !== undefined) return t.skip(absent);
    const authorities = [`127.0.0.1:${portOf(http)}`, 'orders.default.svc.cluster.local:80'];
    for (const authority of authorities) {
      for (const flags of [['-library'], metadata]) {
        const { port } = await into('istio', authority, ...flags);
        const plain = await ask(port, 'GET');
        assert.equal(plain.status, 200, authority);
        const seen = JSON.parse(plain.headers['x-seen'] as string);
        assert.match(seen['x-forwarded-client-cert'], new RegExp(`URI=${ID}/istio`));
        for (const name of Object.keys(METADATA)) {
          if (name !== 'traceparent')
            assert.equal(seen[name], undefined, `${name} is not the request’s`);
        }
        const large = await ask(port, 'POST', Buffer.alloc(LARGE, 'x'));
        assert.equal(large.body.length, LARGE);
      }
    }
  });

  test('attack: metadata in its CONNECT says that the caller is somebody else', async (t) => {
    if (absent !== undefined) return t.skip(absent);
    const xfcc = `x-forwarded-client-cert=URI=${ID}/istio`;
    const { port } = await into(
      'intruder',
      'orders.default.svc.cluster.local:80',
      ...metadata,
      '-header',
      xfcc,
    );
    const { status, headers } = await ask(port, 'GET');
    assert.equal(status, 403);
    assert.equal(headers['x-palisade-reason'], 'policy_denied');
    const denied = await until('the record of the denial', async () => {
      const { stdout } = await mesh.cli('log', '--denied', '--to', 'orders', '-o', 'json');
      return stdout.trim().split('\n').at(-1) || undefined;
    });
    assert.equal(JSON.parse(denied)['source.id'], `${ID}/intruder`);
  });

  test('its client: many streams at once, half-close, and a port that is none', async (t) => {
    if (absent !== undefined) return t.skip(absent);
    const many = await into('istio', `127.0.0.1:${portOf(http)}`, ...metadata);
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, i) =>
        ask(many.port, 'POST', Buffer.alloc(20_000, `${i % 10}`)),
      ),
    );
    assert.ok(answers.every(({ status, body }) => status === 200 && body.length === 20_000));
    const session = await into('istio', `127.0.0.1:${portOf(tcp)}`, ...metadata);
    assert.equal(await halfClose(session.port, 300_000), 'ready 300000');
    const wrong = await into('istio', '127.0.0.1:1');
    assert.equal(await halfClose(wrong.port, 1), '');
    await wrong.running.printed(/"failed":"status 404/);
  });

  test('its server: our sidecar names it as the Service says, over one tunnel, with nothing but its name', async (t) => {
    if (absent !== undefined) return t.skip(absent);
    const byName = 'legacy.default.svc.cluster.local';
    for (const authority of ['address', 'service']) {
      const isOurs = ['-peer', `${ID}/orders`];
      const names = { 80: portOf(http), 90: portOf(tcp) };
      const known = Object.entries(names).flatMap(([port, to]) => [
        '-name',
        `${byName}:${port}=127.0.0.1:${to}`,
      ]);
      const server = await end('server', 'istio', ...isOurs, ...known);
      await mesh.apply(
        legacy({ hbonePort: server.port, authority, http: portOf(http), tcp: portOf(tcp) }),
      );
      const plain = await curlFrom(orders, '-H', 'baggage: a=b', 'http://legacy/');
      assert.equal(plain.status, 200, plain.body);
      const own = { port: orders.ports.outboundPort, host: 'legacy' };
      const large = await ask(own, 'POST', Buffer.alloc(LARGE, 'x'));
      assert.equal(large.body.length, LARGE);
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => ask(own, 'POST', Buffer.alloc(20_000))),
      );
      assert.ok(answers.every(({ body }) => body.length === 20_000));
      assert.equal(await halfClose(localPort, 300_000), 'ready 300000');
      const connects = connectsOf(server);
      const host = authority === 'address' ? '127.0.0.1' : byName;
      const ports = authority === 'address' ? [portOf(http), portOf(tcp)] : [80, 90];
      assert.deepEqual(
        [...new Set(connects.map((each) => each.connect))].sort(),
        ports.map((port) => `${host}:${port}`).sort(),
      );
      assert.equal(new Set(connects.map(({ from }) => from)).size, 1, 'one connection for all');
      for (const each of connects) {
        assert.equal(each.peer, `${ID}/orders`);
        assert.deepEqual(each.headers, {});
      }
    }
  });

  test('its server: what ztunnel answers to CONNECT is what our caller is told', async (t) => {
    if (absent !== undefined) return t.skip(absent);
    const cases = [
      [401, 403, 'policy_denied'],
      [503, 503, 'upstream_connect_failed'],
      [400, 503, 'upstream_connect_failed'],
    ] as const;
    for (const [answer, status, reason] of cases) {
      const server = await end('server', 'istio', '-answer', `${answer}`);
      await mesh.apply(
        legacy({
          hbonePort: server.port,
          authority: 'address',
          http: portOf(http),
          tcp: portOf(tcp),
        }),
      );
      const told = await curlFrom(orders, 'http://legacy/');
      assert.equal(told.status, status, `${answer}: ${told.body}`);
      assert.match(told.headers, new RegExp(`x-palisade-reason: ${reason}`));
      assert.equal(await halfClose(localPort, 1), '');
    }
  });
});

type Ports = { readonly http: number; readonly tcp: number };

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const SERVICES = ({ http, tcp }: Ports): string => `
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders}
spec:
  ports:
    - {name: http, port: 80, protocol: http, targetPort: ${http}}
    - {name: tcp, port: 90, protocol: tcp, targetPort: ${tcp}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders}
spec:
  selector: {matchLabels: {app: orders}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/istio]}}]}]
`;

/** A service whose only instance is a workload that no sidecar of ours announces. */
const legacy = (of: Ports & { readonly hbonePort: number; readonly authority: string }): string => `
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: legacy}
spec:
  identities: [${ID}/istio]
  ports:
    - {name: http, port: 80, protocol: http, targetPort: ${of.http}}
    - {name: tcp, port: 90, protocol: tcp, targetPort: ${of.tcp}}
  endpoints: [{address: 127.0.0.1, hbonePort: ${of.hbonePort}, authority: ${of.authority}}]
`;

/** Answers with the body that it gets, and with the request's headers in one of its own. */
function echoing(): HttpServer {
  return createHttp((request, response) => {
    response.setHeader('x-seen', JSON.stringify(request.headers));
    request.pipe(response);
  });
}

/** Speaks first, and says how much it got once its peer has said all. */
function measuring(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    let count = 0;
    socket.write('ready ');
    socket.on('data', (chunk) => (count += chunk.length));
    socket.on('end', () => socket.end(`${count}`));
    socket.on('error', () => undefined);
  });
}

async function listening<T extends Server>(server: T): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

type Asked = {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
};

/** One request on a connection of its own: to a port, or through the sidecar that listens there. */
function ask(
  to: number | { readonly port: number; readonly host: string },
  method: string,
  body?: Buffer,
): Promise<Asked> {
  const { port, host } = typeof to === 'number' ? { port: to, host: 'orders' } : to;
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, agent: false, timeout: 15_000 } as const;
    const sent = httpRequest(
      { ...options, path: `http://${host}/`, headers: { host } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends so many bytes and their end, and returns all that comes back. */
function halfClose(port: number, bytes: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('end', () => socket.end());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.end(Buffer.alloc(bytes));
  });
}
