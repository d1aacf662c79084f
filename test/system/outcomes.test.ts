// What a caller sees of each thing that can go wrong, between sidecars in processes of their own: the table of outcomes,
// row by row, over plain mutual TLS and over tunnels, for HTTP and for TCP.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { createSidecars, type FaultProcess } from './fault-mesh.ts';
import type { FaultSidecar } from './fault-sidecar.ts';

const sidecars = createSidecars();
/** Two processes: one for all servers, one for all callers. */
const servers = sidecars.host();
const callers = sidecars.host();
const applications: { close: () => void }[] = [];
after(() => {
  sidecars.close();
  for (const application of applications) application.close();
});

type Transport = 'mtls' | 'hbone';
type Protocol = 'http' | 'tcp';

/** One way to fail: how both sides are set up, and what is sent. */
type Setting = {
  readonly name: string;
  readonly server?: Partial<FaultSidecar>;
  readonly serverAccount?: string;
  readonly caller?: Partial<FaultSidecar>;
  readonly callerAuthority?: 'own' | 'foreign';
  /** Instead of the server's sidecar. */
  readonly endpoint?: 'none' | 'dead' | 'garbage';
  readonly application?: 'well' | 'dead' | 'silent' | 'breaks';
  readonly request?: string;
  /** Calls held open before the one that is looked at. */
  readonly before?: number;
};

type Want = { readonly status: number; readonly reason: string; readonly retry?: boolean };

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n';
const SHORT = { responseMs: 300, connectMs: 5_000 };

/** HTTP: the status, `x-palisade-reason`, and whether a retry is invited. */
const HTTP: readonly (Setting & Want)[] = [
  {
    name: 'denied by policy',
    server: { without: 'permission' },
    status: 403,
    reason: 'policy_denied',
  },
  {
    name: 'no valid caller identity',
    callerAuthority: 'foreign',
    status: 503,
    reason: 'upstream_identity_mismatch',
  },
  {
    name: 'cannot decide: no policy',
    server: { without: 'snapshot' },
    status: 403,
    reason: 'cannot_decide',
  },
  {
    name: "server's identity is not the service's",
    serverAccount: 'evil',
    status: 503,
    reason: 'upstream_identity_mismatch',
  },
  {
    name: 'unknown service',
    request: GET.replace('orders', 'nobody'),
    status: 404,
    reason: 'no_such_service',
  },
  {
    name: 'no endpoint',
    endpoint: 'none',
    status: 503,
    reason: 'no_healthy_endpoint',
    retry: true,
  },
  {
    name: 'endpoint refuses connections',
    endpoint: 'dead',
    status: 503,
    reason: 'upstream_connect_failed',
    retry: true,
  },
  {
    name: 'endpoint speaks no TLS',
    endpoint: 'garbage',
    status: 503,
    reason: 'upstream_tls_failed',
  },
  {
    name: 'application refuses connections',
    application: 'dead',
    status: 503,
    reason: 'upstream_connect_failed',
    retry: true,
  },
  {
    name: 'application never answers',
    application: 'silent',
    status: 504,
    reason: 'upstream_timeout',
  },
  { name: 'application breaks off', application: 'breaks', status: 502, reason: 'upstream_failed' },
  {
    name: 'ambiguous request',
    request: GET.replace('\r\n\r\n', '\r\nHost: other\r\n\r\n'),
    status: 400,
    reason: 'bad_request',
  },
  {
    name: 'head too large',
    request: GET.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`),
    status: 431,
    reason: 'too_large',
  },
  {
    name: 'over a limit',
    caller: { limits: { maxRequests: 1 } },
    application: 'silent',
    before: 1,
    status: 429,
    reason: 'rate_limited',
  },
];

/**
 * TCP: whatever failed, the caller gets no byte and sees a broken connection, not an end of data. What breaks `behind` the
 * server's sidecar comes over plain mutual TLS as a TLS close, and there alone may look like an end.
 */
const TCP: readonly (Setting & { readonly behind?: boolean })[] = [
  { name: 'denied by policy', server: { without: 'permission' }, behind: true },
  { name: 'no valid caller identity', callerAuthority: 'foreign' },
  { name: "server's identity is not the service's", serverAccount: 'evil' },
  { name: 'no endpoint', endpoint: 'none' },
  { name: 'endpoint refuses connections', endpoint: 'dead' },
  { name: 'endpoint speaks no TLS', endpoint: 'garbage' },
  { name: 'application refuses connections', application: 'dead', behind: true },
  { name: 'application breaks off', application: 'breaks', behind: true },
  { name: 'over a limit', caller: { limits: { maxConnections: 1 } }, before: 1 },
];

for (const transport of ['mtls', 'hbone'] as const) {
  for (const row of HTTP) {
    test(`HTTP over ${transport}: ${row.name}: ${row.status} ${row.reason}`, async () => {
      const caller = await startPair(row, 'http', transport);
      const port = caller.ports.outboundPort;
      const held = Array.from({ length: row.before ?? 0 }, () => hold(port, GET));
      await Promise.all(held.map((socket) => once(socket, 'connect')));
      const answer = await exchange(port, row.request ?? GET);
      const head = answer.text.slice(0, answer.text.indexOf('\r\n\r\n')).toLowerCase();
      assert.match(head, new RegExp(`^http/1\\.1 ${row.status} `), answer.text);
      assert.match(head, new RegExp(`\\r\\nx-palisade-reason: ${row.reason}(?:\\r\\n|$)`));
      assert.equal(head.includes('\r\nretry-after:'), row.retry === true, head);
      const isDenial = row.reason === 'policy_denied' || row.reason === 'cannot_decide';
      assert.equal(/\r\nx-palisade-denial: [0-9a-f]{16}/.test(head), isDenial, head);
      for (const socket of held) socket.destroy();
    });
  }
  for (const row of TCP) {
    test(`TCP over ${transport}: ${row.name}: broken without a byte`, async () => {
      const caller = await startPair(row, 'tcp', transport);
      const port = caller.ports.upstreamPorts[0] ?? 0;
      const held = Array.from({ length: row.before ?? 0 }, () => hold(port, 'hold'));
      await Promise.all(held.map((socket) => once(socket, 'data')));
      const answer = await exchange(port, 'PING');
      assert.equal(answer.text, '');
      if (transport === 'hbone' || row.behind !== true) assert.equal(answer.reset, true);
      for (const socket of held) socket.destroy();
    });
  }
}

/** tcpmux: nobody listens there, and no other test is given it as a free port. */
const NOBODY = 1;

async function startPair(
  setting: Setting,
  protocol: Protocol,
  transport: Transport,
): Promise<FaultProcess> {
  const server = await servers.start(setting.serverAccount ?? 'orders', {
    protocol,
    appPort: await startApplication(setting.application ?? 'well', protocol),
    ...setting.server,
  });
  const endpoints = await endpointsOf(setting, server, transport);
  return callers.start(
    'web',
    { protocol, endpoints, timeouts: SHORT, ...setting.caller },
    setting.callerAuthority,
  );
}

async function endpointsOf(
  { endpoint }: Setting,
  server: FaultProcess,
  transport: Transport,
): Promise<NonNullable<FaultSidecar['endpoints']>> {
  const host = '127.0.0.1';
  if (endpoint === 'none') return [];
  let { inboundPort, hbonePort } = server.ports;
  if (endpoint === 'dead') inboundPort = hbonePort = NOBODY;
  if (endpoint === 'garbage') {
    const port = await listen((socket) => socket.write('220 mail.example ESMTP\r\n'));
    inboundPort = hbonePort = port;
  }
  return [{ host, port: inboundPort, hbonePort: transport === 'hbone' ? hbonePort : 0 }];
}

function startApplication(
  kind: NonNullable<Setting['application']>,
  protocol: Protocol,
): Promise<number> {
  if (kind === 'dead') return Promise.resolve(NOBODY);
  return listen((socket) => {
    if (kind === 'breaks' && protocol === 'tcp') return socket.resetAndDestroy();
    socket.on('data', (chunk: Buffer) => {
      if (kind === 'breaks') socket.resetAndDestroy();
      else if (protocol === 'tcp') socket.write(chunk);
      else if (kind === 'well') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
  });
}

async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {
      // Sidecars may reset what they give up.
    });
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  applications.push(server);
  return (server.address() as { port: number }).port;
}

function hold(port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {
    // It ends with the processes of its test.
  });
  socket.write(text);
  return socket;
}

/** Everything that comes, and whether the connection broke instead of ending. */
function exchange(
  port: number,
  text: string,
): Promise<{ readonly text: string; readonly reset: boolean }> {
  return new Promise((resolve) => {
    let received = '';
    let reset = false;
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) => (reset = error.code === 'ECONNRESET'));
    socket.on('close', () => resolve({ text: received, reset }));
    socket.write(text);
  });
}
