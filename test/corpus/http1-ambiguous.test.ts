// The corpus against the reader, in pieces of every size, and against a pair of proxies in both directions.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { BodyReader, createRequestReader, type Http1Error, isSizeError } from '#protocol';
import type { ProxyMetrics } from '#telemetry';
import {
  createFakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
} from '../../src/proxy/fake-mesh.ts';
import { createFakePair, type FakePair, talk } from '../../src/proxy/fake-pair.ts';
import { AMBIGUOUS, type AmbiguousRequest } from './http1-ambiguous.ts';

const CORPUS = Object.values(AMBIGUOUS).flat();
const SIZES = [1, 2, 3, 7, 64, 1000, Number.POSITIVE_INFINITY];

test('the corpus is as large as it claims, and no request is there twice', () => {
  assert.ok(CORPUS.length >= 270, `${CORPUS.length} requests`);
  assert.equal(new Set(CORPUS.map(([raw]) => raw)).size, CORPUS.length);
});

for (const [name, requests] of Object.entries(AMBIGUOUS)) {
  test(`the reader refuses, in pieces of any size: ${name}`, () => {
    for (const [raw, kind] of requests) {
      const bytes = Buffer.from(raw, 'latin1');
      for (const size of SIZES)
        assert.equal(refusal(bytes, size), kind, `${JSON.stringify(raw.slice(0, 90))} by ${size}`);
    }
  });
}

function refusal(bytes: Buffer, size: number): Http1Error | 'accepted' | 'more' {
  const reader = createRequestReader();
  const body = new BodyReader();
  let inBody = false;
  for (let from = 0; from < bytes.length; from += size) {
    const chunk = bytes.subarray(from, from + size);
    let at = 0;
    if (!inBody) {
      const head = reader.read(chunk, 0);
      if (head.kind === 'refuse') return head.error;
      if (head.kind === 'more') continue;
      inBody = true;
      body.start(head.framing);
      at = head.consumed;
    }
    body.read(chunk, at);
    if (body.error !== undefined) return body.error;
  }
  return inBody && body.complete ? 'accepted' : 'more';
}

describe('through a pair of proxies', () => {
  let pair: FakePair;
  let received = '';
  const application = createServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', () => {
      // A body that turns out malformed is cut off by a reset.
    });
  });

  before(async () => {
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    const { port } = application.address() as AddressInfo;
    const mesh = createFakeMesh();
    const policies = [fakePolicy('ALLOW', 'everybody', {})];
    pair = await createFakePair({
      mesh,
      application: { port },
      service: fakeService(mesh, 'a', { account: 'orders' }),
      policies,
    });
    pair.orders.snapshots.set(fakeSnapshot(mesh, { service: 'a', policies }));
  });
  after(async () => {
    await pair.close();
    application.close();
  });

  const fromApplication = (): Socket => connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  // A peer without a sidecar, whose bytes nobody has looked at before.
  const fromPeer = (): Socket => {
    const { privateKeyPem: key, chainPem: cert } = pair.mesh.issue('web');
    const port = pair.server.inboundPort ?? 0;
    return connectTls({ port, host: '127.0.0.1', key, cert, rejectUnauthorized: false });
  };

  for (const [name, requests] of Object.entries(AMBIGUOUS)) {
    test(`answered once, counted by kind, and nothing behind it is read: ${name}`, async () => {
      for (const request of requests) {
        // A preface makes it another protocol, which has tests of its own.
        if (request[0].startsWith('PRI * HTTP/2.0\r\n\r\nSM')) continue;
        // What begins with CONNECT is the forward proxy's own business there: parse-connect.test.ts.
        if (!request[0].startsWith('CONNECT'))
          await check(request, fromApplication(), pair.web.metrics);
        await check(request, fromPeer(), pair.orders.metrics);
      }
    });
  }

  async function check(
    [raw, kind]: AmbiguousRequest,
    socket: Socket,
    metrics: ProxyMetrics,
  ): Promise<void> {
    const what = JSON.stringify(raw.slice(0, 90));
    const counter = metrics.refused(kind);
    const before = counter.value;
    received = '';
    const follower = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
    const answer = await talk(socket, Buffer.from(raw + follower, 'latin1'));
    const status = isSizeError(kind) ? 431 : 400;
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), what);
    assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, what);
    assert.equal(counter.value - before, 1, `${what} counts as ${kind}`);
    assert.doesNotMatch(received, /smuggled/, what);
    // The head of a request whose body turns out malformed may have gone; its end never does.
    assert.doesNotMatch(received, /\r\n0\r\n\r\n$/, what);
    if (!raw.includes('\r\n\r\n0\r\n') && !raw.includes('chunked\r\n\r\n'))
      assert.equal(received, '', what);
  }
});
