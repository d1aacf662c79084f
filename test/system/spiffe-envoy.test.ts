// A real Envoy that gets its identity from our agent over SDS, and talks mutual TLS with a sidecar of ours.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allow } from './allow.ts';
import { finish, freePort, start, startTestMesh } from './mesh.ts';
import { executableOf } from './spiffe-peers.ts';
import { until } from './until.ts';

const ID = 'spiffe://cluster.local/ns/default/sa';
const envoyBin = process.env['ENVOY_BIN'];
const skip = envoyBin === undefined ? 'ENVOY_BIN names no Envoy' : false;

test('Envoy takes its SVID over SDS, is judged by policy, and refuses a server of another identity', {
  skip,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-envoy-'));
  const mesh = await startTestMesh();
  t.after(async () => {
    await mesh.close();
    rmSync(folder, { recursive: true });
  });
  const serve = `exec python3 -m http.server "$PORT" --bind 127.0.0.1 --directory ${folder}`;
  const pages = await mesh.run('pages', ['sh', '-c', serve]);
  const [right, wrong] = [await freePort(), await freePort()];
  const config = join(folder, 'envoy.json');
  const socket = join(mesh.dataDir, 'agent', 'agent.sock');
  const { inboundPort } = pages.ports;
  const routes = [
    { port: right, cluster: 'right', server: `${ID}/pages` },
    { port: wrong, cluster: 'wrong', server: `${ID}/other` },
  ];
  await mesh.apply(registration(await executableOf(envoyBin ?? '')));
  writeFileSync(config, JSON.stringify(envoyConfig({ socket, inboundPort, routes })));
  const envoy = start([
    envoyBin ?? '',
    '-c',
    config,
    '--concurrency',
    '1',
    '--base-id',
    String(right),
    '-l',
    'warning',
  ]);
  t.after(() => envoy.stop());
  const get = async (port: number) => {
    const url = `http://127.0.0.1:${port}/`;
    const done = await finish([
      'curl',
      '-s',
      '--max-time',
      '5',
      '-o',
      join(folder, 'body'),
      '-w',
      '%{http_code}',
      url,
    ]);
    return Number(done.stdout);
  };
  const becomes = async (port: number, status: number) => {
    await until(`it is ${status}`, async () => (await get(port)) === status, {
      told: envoy.output,
    });
  };

  await becomes(right, 403);
  await mesh.apply(allow('pages', 'envoy'));
  await becomes(right, 200);
  assert.equal(await get(wrong), 503);
  await until('the record of it', async () => {
    const log = await mesh.cli('log', '--to', 'pages', '-o', 'json');
    return /sa\/envoy/.test(log.stdout);
  });
});

type Route = { readonly port: number; readonly cluster: string; readonly server: string };

function envoyConfig(of: { socket: string; inboundPort: number; routes: readonly Route[] }) {
  return {
    node: { id: 'envoy', cluster: 'envoy' },
    static_resources: {
      listeners: of.routes.map(listenerOf),
      clusters: [
        agentCluster(of.socket),
        ...of.routes.map((route) => serverCluster(route, of.inboundPort)),
      ],
    },
  };
}

function listenerOf({ port, cluster }: Route) {
  const type = 'type.googleapis.com/envoy.extensions.filters';
  const manager = {
    '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: cluster,
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster, host_rewrite_literal: 'pages' } }],
        },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': `${type}.http.router.v3.Router` } }],
  };
  return {
    name: cluster,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  };
}

function agentCluster(path: string) {
  return {
    name: 'agent',
    connect_timeout: '1s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: 'agent',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path } } } }] }],
    },
  };
}

function serverCluster({ cluster, server }: Route, port: number) {
  const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
  const sds = (name: string) => ({
    name,
    sds_config: {
      resource_api_version: 'V3',
      api_config_source: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'agent' } }],
      },
    },
  });
  return {
    name: cluster,
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: cluster,
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
            },
          ],
        },
      ],
    },
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': `${tls}.UpstreamTlsContext`,
        common_tls_context: {
          tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
          tls_certificate_sds_secret_configs: [sds(`${ID}/envoy`)],
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: server } }],
            },
            validation_context_sds_secret_config: sds('spiffe://cluster.local'),
          },
        },
      },
    },
  };
}

function registration(path: string): string {
  return `
apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: envoy }
spec:
  spiffeId: ${ID}/envoy
  selectors: ["unix:path:${path}"]
`;
}
