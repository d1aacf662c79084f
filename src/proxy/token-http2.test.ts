import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '#lib';
import { connectH2, createProtocolPair, requestH2, startH2Application } from './fake-http2.ts';
import { createFakeIssuer, fakeTokenRule } from './fake-issuer.ts';
import type { FakePair, FakePairOptions } from './fake-pair.ts';

const good = createFakeIssuer();
const forger = createFakeIssuer(good.issuer);
const GET = { ':method': 'GET', ':path': '/' } as const;
const CLAIM_HEADERS = [{ header: 'x-user', claim: 'sub' }];

/** Runs `use` with a pair of an HTTP/2 service that answers with the headers it got. */
async function withH2(
  options: Partial<FakePairOptions>,
  use: (pair: FakePair) => Promise<void>,
): Promise<void> {
  const application = await startH2Application((stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(JSON.stringify(headers));
  });
  const pair = await createProtocolPair('http2', { port: application.port }, options);
  try {
    await use(pair);
  } finally {
    await pair.close();
    application.close();
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

test('over HTTP/2 a token is verified, kept here, and its claims go on', async () => {
  const tokens = [fakeTokenRule(good, { claimHeaders: CLAIM_HEADERS })];
  await withH2({ tokens }, async (pair) => {
    const session = connectH2(pair.caller.outboundPort);
    const passed = await requestH2(session, {
      ...GET,
      ...bearer(good.token()),
      'x-user': 'root',
      x_user: 'root',
    });
    assert.equal(passed.headers[':status'], 200);
    const seen = JSON.parse(passed.body) as Record<string, string>;
    assert.deepEqual(
      [seen['x-user'], seen['x_user'], seen['authorization']],
      ['ada', undefined, undefined],
    );
    const spoofed = await requestH2(session, { ...GET, 'x-user': 'root' });
    assert.equal(JSON.parse(spoofed.body)['x-user'], undefined);
    session.destroy();
  });
});

test('over HTTP/2 an invalid token is 401, to gRPC 16', async () => {
  await withH2({ tokens: [fakeTokenRule(good)] }, async (pair) => {
    const session = connectH2(pair.caller.outboundPort);
    const refused = await requestH2(session, { ...GET, ...bearer(forger.token()) });
    assert.equal(refused.headers[':status'], 401);
    assert.equal(refused.headers['x-palisade-reason'], 'token_invalid');
    assert.match(`${refused.headers['www-authenticate']}`, /^Bearer error="invalid_token"/);
    const grpc = await requestH2(session, {
      ':method': 'POST',
      ':path': '/a.B/C',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...bearer(forger.token()),
    });
    const status = grpc.trailers['grpc-status'] ?? grpc.headers['grpc-status'];
    assert.equal(`${status}`, '16');
    session.destroy();
  });
});

test('over HTTP/2 many requests wait for the keys of an issuer at once, fetched once', async () => {
  let asked = 0;
  const fetchJwks = async () => {
    asked++;
    await new Promise((resolve) => setImmediate(resolve));
    return ok(good.jwks);
  };
  const keys = { kind: 'remote', uri: 'https://id.example.com/jwks', timeoutMs: 1000 } as const;
  await withH2({ tokens: [fakeTokenRule(good, { keys })], fetchJwks }, async (pair) => {
    const session = connectH2(pair.caller.outboundPort);
    const token = good.token();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        requestH2(session, {
          ...GET,
          ...bearer(i % 2 === 0 ? token : good.token({ jti: `${i}` })),
        }),
      ),
    );
    assert.ok(answers.every(({ headers }) => headers[':status'] === 200));
    assert.equal(asked, 1);
    session.destroy();
  });
});
