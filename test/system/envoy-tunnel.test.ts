// Envoy at the other end: of a tunnel (HTTP/2 CONNECT over mutual TLS, as Istio's waypoints speak it) and of plain mutual
// TLS, as its sidecars do; each way round.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { WorkloadIdentity } from '#identity';
import { createProxy, type Proxy } from '#proxy';
// Not through a layer's index: fakes are for tests and benchmarks, and no part of any layer.
import {
  createFakeMesh,
  fakeService,
  fakeSnapshot,
  fakeWorkload,
} from '../../src/proxy/fake-mesh.ts';
import { ALLOW_WEB, ask } from '../../src/proxy/fake-pair.ts';
import { findProgram, freePort } from './mesh.ts';
import { until } from './until.ts';

const ENVOY = process.env['ENVOY_BIN'] ?? (await findProgram('envoy'));
const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const V3 = 'type.googleapis.com/envoy';
const NETWORK = `${V3}.extensions.filters.network`;

describe('Envoy', { skip: ENVOY === undefined && 'Envoy is not here: set ENVOY_BIN' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-envoy-'));
  const mesh = createFakeMesh();
  const running: ChildProcess[] = [];
  const proxies: Proxy[] = [];
  let app: Server;
  const orders = fakeWorkload(
    fakeSnapshot(mesh, { service: 'orders', policies: [ALLOW_WEB] }),
    mesh.issue('orders'),
  );
  let server: Proxy;

  before(async () => {
    app = createServer((request, response) => {
      request.resume().on('end', () => response.end('ok'));
    });
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    const here = { host: '127.0.0.1', port: 0 };
    const listen = { inbound: here, hbone: here, outbound: undefined, upstreams: [] };
    server = await createProxy(orders.options({ appPort: appPort(), listen }));
    proxies.push(server);
  });
  after(async () => {
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(proxies.map((proxy) => proxy.close()));
    app.closeAllConnections();
    app.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const appPort = (): number => (app.address() as AddressInfo).port;

  async function startEnvoy(listener: unknown, cluster: unknown, port: number): Promise<void> {
    const path = join(folder, `${port}.json`);
    const resources = { listeners: [listener], clusters: [cluster] };
    writeFileSync(path, JSON.stringify({ static_resources: resources }));
    const id = `${(process.pid + running.length) % 60_000}`;
    const args = ['-c', path, '--concurrency', '1', '--base-id', id, '-l', 'error'];
    running.push(spawn(ENVOY ?? 'envoy', args, { stdio: 'ignore' }));
    await until('Envoy listens', () => accepts(port));
  }

  function tls(side: 'Downstream' | 'Upstream', identity: WorkloadIdentity, alpn: string): unknown {
    const pem = join(folder, `${identity.serial}.pem`);
    writeFileSync(pem, identity.chainPem + identity.privateKeyPem, { mode: 0o600 });
    const root = join(folder, 'root.pem');
    writeFileSync(root, mesh.root.certificatePem);
    return {
      name: 'tls',
      typed_config: {
        '@type': `${V3}.extensions.transport_sockets.tls.v3.${side}TlsContext`,
        ...(side === 'Downstream' ? { require_client_certificate: true } : {}),
        common_tls_context: {
          alpn_protocols: [alpn],
          tls_params: {
            tls_minimum_protocol_version: 'TLSv1_3',
            tls_maximum_protocol_version: 'TLSv1_3',
          },
          tls_certificates: [
            { certificate_chain: { filename: pem }, private_key: { filename: pem } },
          ],
          validation_context: { trusted_ca: { filename: root } },
        },
      },
    };
  }

  /** An Envoy whose listener is a way to our inbound side as `account`. */
  async function callerEnvoy(account: string, target: number, tunnel: boolean): Promise<number> {
    const port = await freePort();
    const tunneling = { hostname: 'orders.default.svc.cluster.local:80' };
    const filter = {
      name: 'tcp',
      typed_config: {
        '@type': `${NETWORK}.tcp_proxy.v3.TcpProxy`,
        stat_prefix: 'tcp',
        cluster: 'out',
        ...(tunnel ? { tunneling_config: tunneling } : {}),
      },
    };
    const secured = { transport_socket: tls('Upstream', mesh.issue(account), tunnel ? 'h2' : 'x') };
    await startEnvoy(
      listenerOf(port, filter),
      { ...clusterOf(target), ...secured, ...(tunnel ? HTTP2 : {}) },
      port,
    );
    return port;
  }

  /** An Envoy in front of the application, as the sidecar of `orders`, and a caller's side of ours. */
  async function serverEnvoy(tunnel: boolean): Promise<number | undefined> {
    const port = await freePort();
    const filter = tunnel ? TERMINATE_CONNECT : FORWARD_HTTP;
    const secured = { transport_socket: tls('Downstream', mesh.issue('orders'), 'h2') };
    await startEnvoy(
      listenerOf(port, filter, tunnel ? secured : plain(secured)),
      clusterOf(appPort()),
      port,
    );
    const service = fakeService(mesh, 'orders');
    const web = fakeWorkload(
      fakeSnapshot(mesh, { service: 'web', upstreams: [service] }),
      mesh.issue('web'),
    );
    const proxy = await createProxy(
      web.options({
        endpoints: () => [{ host: '127.0.0.1', port, hbonePort: tunnel ? port : 0 }],
        listen: { inbound: undefined, outbound: { host: '127.0.0.1', port: 0 }, upstreams: [] },
      }),
    );
    proxies.push(proxy);
    return proxy.outboundPort;
  }

  // Plain mutual TLS between sidecars has no ALPN.
  function plain(secured: { readonly transport_socket: unknown }): unknown {
    const text = JSON.stringify(secured).replace('"alpn_protocols":["h2"],', '');
    return JSON.parse(text);
  }

  for (const tunnel of [true, false]) {
    const way = tunnel ? 'a tunnel' : 'plain mutual TLS';
    test(`its calls by ${way} are judged by its identity`, async () => {
      const target = (tunnel ? server.hbonePort : server.inboundPort) ?? 0;
      const web = await callerEnvoy('web', target, tunnel);
      for (let i = 0; i < 3; i++) assert.match(await ask(web, GET), /^HTTP\/1\.1 200 [^]*ok$/);
      const intruder = await callerEnvoy('intruder', target, tunnel);
      assert.match(await ask(intruder, GET), /^HTTP\/1\.1 403 [^]*policy_denied/);
      const record = orders.records.at(-1);
      assert.equal(record?.about['source.id'], 'spiffe://cluster.local/ns/default/sa/intruder');
    });

    test(`it takes our calls by ${way}`, async () => {
      const port = await serverEnvoy(tunnel);
      for (let i = 0; i < 3; i++) assert.match(await ask(port, GET), /^HTTP\/1\.1 200 [^]*ok$/);
      const body = 'x'.repeat(600_000);
      const post = `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n\r\n`;
      assert.match(await ask(port, post + body), /^HTTP\/1\.1 200 [^]*ok$/);
    });
  }
});

const HTTP2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': `${V3}.extensions.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

const ROUTER = {
  name: 'router',
  typed_config: { '@type': `${V3}.extensions.filters.http.router.v3.Router` },
};

const MANAGER = {
  '@type': `${NETWORK}.http_connection_manager.v3.HttpConnectionManager`,
  stat_prefix: 'in',
  http_filters: [ROUTER],
};

const CONNECT = { upgrade_type: 'CONNECT', connect_config: {} };

const TERMINATE_CONNECT = {
  name: 'http',
  typed_config: {
    ...MANAGER,
    codec_type: 'HTTP2',
    http2_protocol_options: { allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'CONNECT' }],
    route_config: routes({
      match: { connect_matcher: {} },
      route: { cluster: 'out', upgrade_configs: [CONNECT] },
    }),
  },
};

const FORWARD_HTTP = {
  name: 'http',
  typed_config: {
    ...MANAGER,
    route_config: routes({ match: { prefix: '/' }, route: { cluster: 'out' } }),
  },
};

function routes(route: unknown): unknown {
  return { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] };
}

function listenerOf(port: number, filter: unknown, more: unknown = {}): unknown {
  return {
    name: 'in',
    address: addressOf(port),
    filter_chains: [{ filters: [filter], ...(more as object) }],
  };
}

function clusterOf(port: number): object {
  const endpoint = { endpoint: { address: addressOf(port) } };
  return {
    name: 'out',
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: 'out', endpoints: [{ lb_endpoints: [endpoint] }] },
  };
}

function addressOf(port: number): unknown {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
