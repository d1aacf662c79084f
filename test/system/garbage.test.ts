// Garbage on every port: whatever bytes arrive, each process lives, serves, stays small, counts what it refused and
// does not fill its log.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { allow } from './allow.ts';
import { answering } from './applications.ts';
import {
  curlFrom,
  finish,
  freePort,
  type Service,
  sidecarOf,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import { clientHello, inParallel, noise, send, sendInTls } from './raw-bytes.ts';

const MAX_RSS_KB = 300 * 1024;
const MAX_LOG_BYTES = 1024 * 1024;

type Port = {
  readonly name: string;
  /** TLS is spoken before anything else. */
  readonly tls: boolean;
  /** ALPN inside TLS. */
  readonly alpn?: string;
  /** An unfinished request is closed by the server by itself. */
  readonly closesHalfRequests: boolean;
};

const PORTS: readonly Port[] = [
  { name: 'API', tls: true, closesHalfRequests: true },
  { name: 'gRPC', tls: true, alpn: 'h2', closesHalfRequests: true },
  { name: 'CA', tls: true, alpn: 'h2', closesHalfRequests: true },
  { name: 'console', tls: false, closesHalfRequests: true },
  { name: 'agent socket', tls: false, closesHalfRequests: false },
  { name: 'inbound', tls: true, closesHalfRequests: true },
  { name: 'outbound', tls: false, closesHalfRequests: true },
  { name: 'upstream', tls: false, closesHalfRequests: true },
  { name: 'metrics', tls: false, closesHalfRequests: true },
];

describe('garbage on every port', () => {
  let mesh: TestMesh;
  let server: Service;
  let client: Service;
  let hello: Buffer;
  let upstreamPort: number;
  let pids: Readonly<Record<string, number>>;
  let countedBefore: number;

  before(async () => {
    mesh = await startTestMesh();
    server = await mesh.run('server', answering("s.end('served')"));
    upstreamPort = await freePort();
    client = await mesh.run(
      'client',
      ['sleep', '3600'],
      ['--upstream', `server:80=${upstreamPort}`],
    );
    await mesh.apply(allow('server', 'client'));
    hello = await clientHello();
    pids = currentPids();
    countedBefore = await countRefused(server);
    await assertServes();
  });
  after(() => mesh.close());

  function currentPids(): Readonly<Record<string, number>> {
    return {
      up: mesh.up.child.pid ?? 0,
      'sidecar of server': sidecarOf(mesh, 'server').pid,
      'sidecar of client': sidecarOf(mesh, 'client').pid,
    };
  }

  function addressOf({ name }: Port): { port: number; host: string } | { path: string } {
    const settings = JSON.parse(readFileSync(join(mesh.dataDir, 'mesh.json'), 'utf8'));
    const host = '127.0.0.1';
    const at = (address: string) => ({
      host,
      port: Number(address.slice(address.lastIndexOf(':') + 1)),
    });
    switch (name) {
      case 'API':
        return at(settings.api);
      case 'gRPC':
        return at(settings.grpc);
      case 'CA':
        return at(settings.ca);
      case 'console':
        return at(settings.console);
      case 'agent socket':
        return { path: settings.agentSocket };
      case 'inbound':
        return { host, port: server.ports.inboundPort };
      case 'outbound':
        return { host, port: client.ports.outboundPort };
      case 'upstream':
        return { host, port: upstreamPort };
      default:
        return at(sidecarOf(mesh, 'server').metricsUrl);
    }
  }

  /** Everything that a sidecar counts as refused, failed handshakes included. */
  async function countRefused(service: Service): Promise<number> {
    const text = await (await fetch(`${sidecarOf(mesh, service.name).metricsUrl}/metrics`)).text();
    const lines = text.split('\n').filter((line) => isRefusal(line));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async function assertServes(): Promise<void> {
    assert.equal((await curlFrom(client, 'http://server/')).body, 'served');
    const direct = await finish([
      'curl',
      '-sS',
      '--max-time',
      '10',
      `http://127.0.0.1:${upstreamPort}/`,
    ]);
    assert.equal(direct.stdout, 'served', direct.stderr);
    const status = await mesh.cli('status');
    assert.equal(status.status, 0, status.stdout + status.stderr);
  }

  const toward = (port: Port) => addressOf(port) as NetConnectOpts;
  const insideOf = (port: Port, bytes: Buffer | string, waitMs?: number) =>
    port.tls
      ? sendInTls(addressOf(port) as { port: number; host: string }, bytes, {
          ...(waitMs === undefined ? {} : { waitMs }),
          ...(port.alpn === undefined ? {} : { alpn: port.alpn }),
        })
      : send(toward(port), bytes, waitMs === undefined ? {} : { waitMs });

  // All ports at once: each waits for its server's own time-out.
  test('100 half requests on each port: closed by the server, served meanwhile', async () => {
    const half = Buffer.from('GET / HTTP/1.1\r\nHost: ser');
    const held = PORTS.map((port) => {
      const waitMs = port.closesHalfRequests ? 45_000 : 3_000;
      return inParallel(100, 100, async (i) => {
        const bytes = port.tls && i % 2 === 0 ? hello.subarray(0, 20) : half;
        const { closed } =
          port.tls && i % 2 === 1
            ? await insideOf(port, bytes, waitMs)
            : await send(toward(port), bytes, { waitMs });
        const message = `${port.name}: it was still open after ${waitMs} ms`;
        if (port.closesHalfRequests) assert.ok(closed, message);
      });
    });
    await assertServes();
    await Promise.all(held);
  });

  for (const port of PORTS) {
    describe(`on the ${port.name} port`, () => {
      const to = () => toward(port);
      const inside = (bytes: Buffer | string, waitMs?: number) => insideOf(port, bytes, waitMs);

      test('300 connections of random bytes', async () => {
        await inParallel(300, 30, (i) => send(to(), noise(i, 1 + ((i * 37) % 4096))));
        if (port.tls) await inParallel(60, 20, (i) => inside(noise(i, 1 + ((i * 37) % 4096))));
      });

      test('a TLS hello cut anywhere, and one whose bytes are turned', async () => {
        const cuts = Array.from({ length: Math.ceil(hello.length / 16) }, (_, i) => i * 16 + 1);
        await inParallel(cuts.length, 30, (i) =>
          send(to(), hello.subarray(0, cuts[i]), { halfClose: i % 2 === 0 }),
        );
        await inParallel(100, 30, (i) => {
          const turned = Buffer.from(hello);
          const at = noise(i, 2).readUInt16BE() % turned.length;
          turned[at] = (turned[at] ?? 0) ^ 0xff;
          return send(to(), turned);
        });
      });

      test('HTTP with a header of 10 MB, eight at a time', async () => {
        const head = Buffer.from('GET / HTTP/1.1\r\nHost: server\r\nX: ');
        const request = Buffer.concat([head, Buffer.alloc(10 * 1024 * 1024, 'a')]);
        await inParallel(8, 8, async () => {
          const { closed, answer } = await inside(request, 15_000);
          assert.ok(closed, 'it went on reading');
          assert.doesNotMatch(answer, /^HTTP\/1\.1 200/);
        });
      });

      test('an HTTP/2 preface with garbage after it', async () => {
        const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
        await inParallel(60, 20, (i) => inside(Buffer.concat([preface, noise(i, 500)])));
        // A frame that says it is 16 MB long, then settings without end.
        const huge = Buffer.concat([
          preface,
          Buffer.from('ffffff0000ffffffff', 'hex'),
          noise(1, 5000),
        ]);
        const settings = Buffer.concat([
          preface,
          ...Array<Buffer>(2000).fill(Buffer.from('000000040000000000', 'hex')),
        ]);
        await inParallel(10, 10, () => inside(huge));
        await inParallel(10, 10, () => inside(settings));
      });

      test('2,000 connections opened and dropped', async () => {
        await inParallel(2000, 50, (i) => send(to(), i % 3 === 0 ? '' : 'x', { waitMs: 5 }));
      });

      test('afterwards everything lives, serves and is small', async () => {
        await assertServes();
        assert.deepEqual(currentPids(), pids);
        for (const [name, pid] of Object.entries(pids)) {
          const kilobytes = Number(
            /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1],
          );
          assert.ok(kilobytes < MAX_RSS_KB, `${name} holds ${Math.round(kilobytes / 1024)} MB`);
        }
      });
    });
  }

  test('what was refused is counted', async () => {
    assert.ok((await countRefused(server)) - countedBefore > 1000);
    const admin = join(mesh.dataDir, 'admin');
    const { api } = JSON.parse(readFileSync(join(mesh.dataDir, 'mesh.json'), 'utf8'));
    const own = ['--cert', join(admin, 'client.crt'), '--key', join(admin, 'client.key')];
    const metrics = await finish(['curl', '-sSk', ...own, `${api}/metrics`]);
    const refused = (port: string) =>
      Number(
        new RegExp(`connections_refused_total\\{[^}]*"${port}"[^}]*\\} (\\d+)`).exec(
          metrics.stdout,
        )?.[1] ?? 0,
      );
    for (const port of ['api', 'grpc'])
      assert.ok(refused(port) > 100, `${port}: ${metrics.stdout}`);
  });

  test('no log has grown past 1 MB', () => {
    assert.ok(statSync(join(mesh.dataDir, 'palisade.log')).size < MAX_LOG_BYTES);
    // What a process prints is kept up to a little less than this.
    for (const { run, name } of [server, client]) {
      assert.ok(run.output().length < MAX_LOG_BYTES / 2, name);
    }
  });
});

function isRefusal(line: string): boolean {
  return (
    line.startsWith('palisade_refused_total') ||
    (line.startsWith('palisade_handshakes_total') && line.includes('failed'))
  );
}
