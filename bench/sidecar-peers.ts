// Configurations of the proxies that the sidecar benchmark compares with: an mTLS pair each.

/** Ports and files of one pair. */
export type PairFiles = {
  readonly callerPort: number;
  readonly serverPort: number;
  readonly appPort: number;
  readonly folder: string;
  /** Certificate and key in one file, as HAProxy wants them. */
  readonly webPem: string;
  readonly ordersPem: string;
  readonly rootPem: string;
  /** What the caller and the application speak. */
  readonly protocol: 'http' | 'grpc';
};

/** HAProxy with both sides of the pair as processes of their own; without access log. */
export function haproxyConfig(side: 'caller' | 'server', files: PairFiles): string {
  const { callerPort, serverPort, appPort, webPem, ordersPem, rootPem } = files;
  const isHttp2 = files.protocol === 'grpc';
  const tls = `ca-file ${rootPem} verify required ssl-min-ver TLSv1.3${isHttp2 ? ' alpn h2' : ''}`;
  const plain = isHttp2 ? ' proto h2' : '';
  const bind =
    side === 'caller'
      ? `bind 127.0.0.1:${callerPort}${plain}`
      : `bind 127.0.0.1:${serverPort} ssl crt ${ordersPem} ${tls}`;
  const server =
    side === 'caller'
      ? `server peer 127.0.0.1:${serverPort} ssl crt ${webPem} ${tls}`
      : `server app 127.0.0.1:${appPort}${plain}`;
  return `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend in
  ${bind}
  default_backend out
backend out
  ${server}
`;
}

/** Envoy with RBAC on the server's side and a JSON access log on both. */
export function envoyConfig(side: 'caller' | 'server', files: PairFiles): string {
  const { callerPort, serverPort, appPort, protocol } = files;
  const isServer = side === 'server';
  const rbac = {
    name: 'envoy.filters.http.rbac',
    typed_config: {
      '@type': type('extensions.filters.http.rbac.v3.RBAC'),
      rules: { action: 'ALLOW', policies: { web: RBAC_POLICY } },
    },
  };
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': type('extensions.filters.http.router.v3.Router') },
  };
  const manager = {
    '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    access_log: [accessLog(`${files.folder}/envoy-${side}.log`)],
    forward_client_cert_details: 'SANITIZE_SET',
    http_filters: isServer ? [rbac, router] : [router],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'out' } }],
        },
      ],
    },
  };
  const config = {
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: socketAddress(isServer ? serverPort : callerPort),
          filter_chains: [
            {
              filters: [{ name: 'http', typed_config: manager }],
              ...(isServer ? { transport_socket: transport('Downstream', files) } : {}),
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'out',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'out',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: socketAddress(isServer ? appPort : serverPort) } },
                ],
              },
            ],
          },
          ...(protocol === 'grpc' ? HTTP2_CLUSTER : {}),
          ...(isServer ? {} : { transport_socket: transport('Upstream', files) }),
        },
      ],
    },
  };
  // JSON is YAML.
  return JSON.stringify(config);
}

const RBAC_POLICY = {
  permissions: [
    { header: { name: ':method', string_match: { safe_regex: { regex: 'GET|POST' } } } },
  ],
  principals: [
    {
      authenticated: {
        principal_name: { exact: 'spiffe://cluster.local/ns/default/sa/web' },
      },
    },
  ],
};

const HTTP2_CLUSTER = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': type('extensions.upstreams.http.v3.HttpProtocolOptions'),
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function accessLog(path: string): unknown {
  return {
    name: 'file',
    typed_config: {
      '@type': type('extensions.access_loggers.file.v3.FileAccessLog'),
      path,
      log_format: {
        json_format: {
          time: '%START_TIME%',
          method: '%REQ(:METHOD)%',
          path: '%REQ(:PATH)%',
          host: '%REQ(:AUTHORITY)%',
          status: '%RESPONSE_CODE%',
          flags: '%RESPONSE_FLAGS%',
          bytes_in: '%BYTES_RECEIVED%',
          bytes_out: '%BYTES_SENT%',
          duration: '%DURATION%',
          peer: '%DOWNSTREAM_PEER_URI_SAN%',
          own: '%DOWNSTREAM_LOCAL_URI_SAN%',
          tls: '%DOWNSTREAM_TLS_VERSION%',
          cipher: '%DOWNSTREAM_TLS_CIPHER%',
          trace: '%REQ(TRACEPARENT)%',
        },
      },
    },
  };
}

function transport(direction: 'Downstream' | 'Upstream', files: PairFiles): unknown {
  const pem = direction === 'Downstream' ? files.ordersPem : files.webPem;
  return {
    name: 'tls',
    typed_config: {
      '@type': type(`extensions.transport_sockets.tls.v3.${direction}TlsContext`),
      ...(direction === 'Downstream' ? { require_client_certificate: true } : {}),
      common_tls_context: {
        ...(files.protocol === 'grpc' ? { alpn_protocols: ['h2'] } : {}),
        tls_params: {
          tls_minimum_protocol_version: 'TLSv1_3',
          tls_maximum_protocol_version: 'TLSv1_3',
        },
        tls_certificates: [
          { certificate_chain: { filename: pem }, private_key: { filename: pem } },
        ],
        validation_context: { trusted_ca: { filename: files.rootPem } },
      },
    },
  };
}

function socketAddress(port: number): unknown {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function type(name: string): string {
  return `type.googleapis.com/envoy.${name}`;
}
