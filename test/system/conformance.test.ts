// HTTP/1.1 through a pair of real sidecars to an origin that keeps every byte: what is ambiguous is answered 400 and
// never reaches it, what is allowed reaches it byte for byte.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { derToPem } from '#identity';
import { Issuance, type TlsMaterial } from '#wire';
import { type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { type RawOrigin, startRawOrigin } from './raw-origin.ts';
import { caClient, enrol, joinToken, publicTrust, requestFor } from './stolen-identity.ts';
import { until } from './until.ts';

const HOST = 'Host: origin\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`;
const post = (fields: string, body = '') => `POST /p HTTP/1.1\r\n${HOST}${fields}\r\n\r\n${body}`;
const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`;

const AMBIGUOUS: readonly (readonly [name: string, request: string])[] = [
  [
    'Content-Length and chunked (CL.TE)',
    post('Content-Length: 6\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  ],
  [
    'chunked and Content-Length (TE.CL)',
    post('Transfer-Encoding: chunked\r\nContent-Length: 3', '0\r\n\r\n'),
  ],
  ['two Content-Length', post('Content-Length: 0\r\nContent-Length: 44')],
  ['the same Content-Length twice', post('Content-Length: 3\r\nContent-Length: 3', 'abc')],
  ['a list in Content-Length', post('Content-Length: 3, 3', 'abc')],
  ['Content-Length with a sign', post('Content-Length: +3', 'abc')],
  [
    'two Transfer-Encoding',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', '0\r\n\r\n'),
  ],
  ['another coding than chunked', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n')],
  ['a space before the colon', post('Transfer-Encoding : chunked', '0\r\n\r\n')],
  ['a vertical tab before chunked', post('Transfer-Encoding: \x0bchunked', '0\r\n\r\n')],
  ['an underscore for a dash', post('Content_Length: 3', 'abc')],
  ['a folded field', post('X: y\r\n Transfer-Encoding: chunked', '0\r\n\r\n')],
  ['a bare LF ends a line', `GET /p HTTP/1.1\nHost: origin\n\n`],
  [
    'a bare LF ends one field',
    `GET /p HTTP/1.1\r\nHost: origin\r\nX: y\nContent-Length: 3\r\n\r\n`,
  ],
  ['a bare CR inside a field', post('X: y\rContent-Length: 3')],
  ['a NUL in a field', post('X: a\0b')],
  ['a NUL in the target', get('/a\0b')],
  ['a chunk longer than it says', post('Transfer-Encoding: chunked', '1\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a sign', post('Transfer-Encoding: chunked', '+1\r\na\r\n0\r\n\r\n')],
  ['a chunk size with 0x', post('Transfer-Encoding: chunked', '0x1\r\na\r\n0\r\n\r\n')],
  ['a chunk line that ends with LF', post('Transfer-Encoding: chunked', '1\na\r\n0\r\n\r\n')],
  ['two Host', `GET /p HTTP/1.1\r\n${HOST}Host: elsewhere\r\n\r\n`],
  ['no Host', 'GET /p HTTP/1.1\r\n\r\n'],
  ['a target whose host is another', `GET http://elsewhere/p HTTP/1.1\r\n${HOST}\r\n`],
  ['a dot segment', get('/open/../closed')],
  ['an escaped dot segment', get('/open/%2e%2e/closed')],
  ['a dot segment with a parameter', get('/open/..;/closed')],
  ['an escaped slash', get('/open%2fclosed')],
  ['a backslash', get('/open\\closed')],
  ['an escaped backslash', get('/open%5cclosed')],
  ['an escaped NUL', get('/open%00')],
  ['a doubled slash', get('//closed')],
  ['an escape that is none', get('/%zz')],
  ['a fragment', get('/open#closed')],
  ['a body on TRACE', `TRACE /p HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`],
  [
    'credentials named by Connection',
    get('/p', 'Connection: authorization\r\nAuthorization: x\r\n'),
  ],
];

describe('HTTP through two sidecars', () => {
  let mesh: TestMesh;
  let client: Service;
  let origin: RawOrigin;
  let server: Service;
  let own: TlsMaterial;

  before(async () => {
    origin = await startRawOrigin();
    origin.answer((socket) => socket.write(OK));
    mesh = await startTestMesh();
    server = await mesh.run('origin', ['sleep', '3600'], ['--app-port', String(origin.port)]);
    client = await mesh.run('client', ['sleep', '3600']);
    await mesh.apply(POLICY);
    await until('the origin', async () => (await throughSidecars(get('/ready'))).includes(' 200 '));
    own = await identityOfClient();
  });
  after(async () => {
    await mesh?.close();
    origin.close();
  });
  beforeEach(() => origin.forget());

  /** As the client's application: through both sidecars. */
  const throughSidecars = (bytes: string, until = isWhole) =>
    talk(
      connect({ port: client.ports.outboundPort, host: '127.0.0.1', allowHalfOpen: true }),
      bytes,
      until,
    );

  /** As a caller without sidecar that has the client's identity: what its sidecar would have refused reaches the other. */
  const toInbound = (bytes: string, until = isWhole) =>
    talk(
      connectTls({
        port: server.ports.inboundPort,
        host: '127.0.0.1',
        cert: own.chainPem,
        key: own.privateKeyPem,
        rejectUnauthorized: false,
      }),
      bytes,
      until,
    );

  /** What an agent of this host can get for the client; a caller that is a Palisade sidecar could not send such bytes. */
  async function identityOfClient(): Promise<TlsMaterial> {
    const trust = publicTrust(mesh.dataDir);
    const { ca } = JSON.parse(readFileSync(join(mesh.dataDir, 'mesh.json'), 'utf8')) as {
      ca: string;
    };
    const token = joinToken(mesh.dataDir, 'agent');
    const agent = await enrol({ ca, trust }, 'spiffe://cluster.local/palisade/agent/test', token);
    const { csr, privateKeyPem } = requestFor('spiffe://cluster.local/ns/default/sa/client');
    const authority = caClient(ca, trust, agent);
    const uid = process.getuid?.() ?? 0;
    const selectors = ['palisade:service:default/client', `unix:uid:${uid}`];
    const { chain } = await authority.unary(Issuance.method.issueX509Svid, { csr, selectors });
    authority.close();
    return {
      chainPem: chain.map((der) => derToPem(der)).join(''),
      privateKeyPem,
      rootsPem: trust.rootsPem,
    };
  }

  for (const [name, request] of AMBIGUOUS) {
    test(`${name}: 400 bad_request, and the origin sees nothing`, async () => {
      for (const [side, ask] of [
        ['sidecar', throughSidecars],
        ['peer', toInbound],
      ] as const) {
        origin.forget();
        const answer = await ask(request + SMUGGLED, () => false);
        assert.match(answer, /^HTTP\/1\.1 400 [^]*x-palisade-reason: bad_request\r\n/, side);
        assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, `${side}: what follows was answered`);
        assert.doesNotMatch(origin.received(), /smuggled|\r\n\r\n$/, side);
      }
      origin.answer((socket) => socket.write(OK));
      assert.match(await throughSidecars(get('/after')), / 200 /);
    });
  }

  test('an upgrade that the application does not agree to ends with its answer', async () => {
    const upgrade = get('/upgrade', 'Connection: Upgrade\r\nUpgrade: websocket\r\n');
    for (const [side, ask] of [
      ['sidecar', throughSidecars],
      ['peer', toInbound],
    ] as const) {
      origin.forget();
      const answer = await ask(upgrade + get('/next'), () => false);
      assert.deepEqual(answer.match(/^HTTP\/1\.1 \d{3}/gm), ['HTTP/1.1 200'], side);
      assert.match(origin.received(), /^GET \/upgrade [^]*\r\nupgrade: websocket\r\n/);
      assert.doesNotMatch(origin.received(), /next/, side);
    }
  });

  test('CONNECT of a peer is refused: a sidecar is nobody’s way to elsewhere', async () => {
    for (const target of ['origin:80', '127.0.0.1:22', 'example.org:443']) {
      const answer = await toInbound(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400 [^]*x-palisade-reason: bad_request/, target);
      assert.equal(origin.received(), '');
    }
  });

  test('CONNECT of the application leads into the mesh, judged request by request, and nowhere else', async () => {
    const connectTo = (target: string) => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
    for (const target of ['127.0.0.1:22', 'example.org:443']) {
      assert.match(await throughSidecars(connectTo(target)), /^HTTP\/1\.1 4\d\d /, target);
    }
    const inside = connectTo('origin:80') + get('/open') + get('/denied');
    const answer = await throughSidecars(inside, (text) => text.includes(' 403 '));
    assert.match(answer, /^HTTP\/1\.1 200 [^]*HTTP\/1\.1 200 [^]*ok[^]*HTTP\/1\.1 403 /);
    assert.doesNotMatch(origin.received(), /denied/);
  });

  test('a plain request arrives byte for byte, but for what the sidecars add', async () => {
    const fields =
      'X-Case: KePt\r\nX-Empty:\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Utf8: \xc3\xa9\r\nCookie: a=b; c=d\r\n';
    const answer = await throughSidecars(
      `GET /a/b?c=%2e%2e&d=//e HTTP/1.1\r\n${HOST}${fields}\r\n`,
    );
    assert.match(answer, / 200 /);
    const [head = '', body] = origin.received().split('\r\n\r\n');
    const lines = head.split('\r\n');
    const kept = lines.filter((line) => !/^(?:traceparent|x-forwarded-client-cert):/i.test(line));
    assert.deepEqual(kept, [
      'GET /a/b?c=%2e%2e&d=//e HTTP/1.1',
      'Host: origin',
      ...fields.trim().split('\r\n'),
    ]);
    assert.equal(lines.length, kept.length + 2);
    assert.equal(body, '');
  });

  test('x-palisade-* and x-forwarded-client-cert of the application are replaced by the sidecar’s', async () => {
    const fake =
      'By=spiffe://cluster.local/ns/default/sa/origin;URI=spiffe://cluster.local/ns/default/sa/admin';
    const claims = `X-Forwarded-Client-Cert: ${fake}\r\nX-Palisade-Denial: 1\r\nx-palisade-anything: 2\r\n`;
    for (const ask of [throughSidecars, toInbound]) {
      origin.forget();
      origin.answer((socket) =>
        socket.write(
          `HTTP/1.1 200 OK\r\nX-Palisade-Reason: policy_denied\r\nContent-Length: 2\r\n\r\nok`,
        ),
      );
      const answer = await ask(get('/claims', claims));
      assert.doesNotMatch(answer, /x-palisade/i);
      assert.doesNotMatch(origin.received(), /x-palisade|sa\/admin/i);
      const certs = origin.received().match(/^x-forwarded-client-cert: .*$/gim) ?? [];
      assert.equal(certs.length, 1);
      assert.match(
        certs[0] ?? '',
        /By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/origin;Hash=[0-9a-f]{64};URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client/,
      );
    }
    origin.answer((socket) => socket.write(OK));
  });

  test('a chunked body with extensions and trailers arrives as it was sent', async () => {
    const body = '5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n';
    origin.answer(
      (socket, soFar) => soFar.endsWith('\r\n\r\n') && soFar.includes('X-Sum') && socket.write(OK),
    );
    const answer = await throughSidecars(post('Transfer-Encoding: chunked', body));
    assert.match(answer, / 200 /);
    const [, ...rest] = origin.received().split('\r\n\r\n');
    const got = rest.join('\r\n\r\n');
    assert.equal(got.replaceAll(/;[^\r\n]*/g, ''), body.replaceAll(/;[^\r\n]*/g, ''));
  });

  test('a chunked answer with trailers arrives as it was sent', async () => {
    const body = '3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n';
    origin.answer((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`),
    );
    const answer = await throughSidecars(get('/chunked'), (text) =>
      text.endsWith('X-Sum: 1\r\n\r\n'),
    );
    assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), body);
  });

  test('HEAD, 204 and 304 have no body and the connection goes on', async () => {
    const answers: Readonly<Record<string, string>> = {
      '/head': 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
      '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
      '/304': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n',
      '/end': OK,
    };
    origin.answer((socket, soFar) => {
      const path = [...soFar.matchAll(/^(?:GET|HEAD) (\S+)/gm)].at(-1)?.[1] ?? '';
      socket.write(answers[path] ?? '');
    });
    const requests = `HEAD /head HTTP/1.1\r\n${HOST}\r\n${get('/204')}${get('/304')}${get('/end')}`;
    const answer = await throughSidecars(requests, (text) => text.endsWith('ok'));
    assert.deepEqual(answer.match(/^HTTP\/1\.1 \d{3}/gm), [
      'HTTP/1.1 200',
      'HTTP/1.1 204',
      'HTTP/1.1 304',
      'HTTP/1.1 200',
    ]);
    assert.match(answer, /content-length: 1000\r\n/i);
  });

  test('Expect: 100-continue: the body waits for the origin’s word', async () => {
    origin.answer((socket, soFar) => {
      if (soFar.endsWith('body')) socket.write(OK);
      else if (soFar.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    });
    const socket = connect(client.ports.outboundPort, '127.0.0.1');
    const head = post('Content-Length: 4\r\nExpect: 100-continue');
    const interim = await talk(socket, head, (text) => text.endsWith('\r\n\r\n'), { keep: true });
    assert.equal(interim, 'HTTP/1.1 100 Continue\r\n\r\n');
    assert.doesNotMatch(origin.received(), /body/);
    assert.match(await talk(socket, 'body', isWhole), /^HTTP\/1\.1 200 /);
  });

  test('ten pipelined requests are answered in their order', async () => {
    origin.answer((socket, soFar) => {
      const path = [...soFar.matchAll(/^GET (\S+)/gm)].at(-1)?.[1] ?? '';
      // Later ones are answered quicker: order is the sidecar's work.
      setTimeout(
        () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`),
        30 - 3 * Number(path.slice(1)),
      );
    });
    const requests = Array.from({ length: 10 }, (_, i) => get(`/${i}`)).join('');
    const answer = await throughSidecars(requests, (text) => text.endsWith('\r\n\r\n/9'));
    assert.deepEqual(
      answer
        .match(/\r\n\r\n\/\d/g)
        ?.map((each) => each.slice(-1))
        .join(''),
      '0123456789',
    );
  });

  test('an answer before the body has come reaches the caller, and then the connection ends', async () => {
    origin.answer((socket, soFar) => {
      if (soFar.endsWith('start'))
        socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
    });
    const answer = await throughSidecars(post('Content-Length: 100000', 'start'), () => false);
    assert.match(answer, /^HTTP\/1\.1 413 [^]*big$/);
  });

  test('a caller that closes its half still gets its answer', async () => {
    origin.answer((socket) => setTimeout(() => socket.write(OK), 50));
    const socket = connect({
      port: client.ports.outboundPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
    });
    const answer = talk(socket, get('/half'), () => false);
    socket.end();
    assert.match(await answer, / 200 [^]*ok$/);
  });

  test('an answer that is ambiguous is not passed on', async () => {
    for (const bad of [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
      'nonsense\r\n\r\n',
    ]) {
      origin.answer((socket) => socket.end(bad));
      const answer = await throughSidecars(get('/bad'));
      assert.match(answer, /^HTTP\/1\.1 502 [^]*x-palisade-reason: upstream_failed/, bad);
    }
  });

  test('bytes behind an answer never become the next answer', async () => {
    origin.answer((socket) =>
      socket.write(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`),
    );
    await throughSidecars(get('/first'));
    origin.answer((socket) => socket.write(OK));
    for (let i = 0; i < 5; i += 1) {
      assert.doesNotMatch(await throughSidecars(get(`/next/${i}`)), /stolen/);
    }
  });
});

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: origin }
spec:
  selector: { matchLabels: { app: origin } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }]
      to: [{ operation: { notPaths: [/denied] } }]
`;

/** Sends bytes and returns what came when `until` holds, the other side ended, or after five seconds. */
function talk(
  socket: Socket,
  bytes: string,
  until: (text: string) => boolean,
  { keep = false } = {},
): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const finish = () => {
      clearTimeout(limit);
      socket.off('data', take);
      if (!keep) socket.destroy();
      resolve(text);
    };
    const take = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until(text)) finish();
    };
    const limit = setTimeout(finish, 5000);
    socket.on('data', take);
    socket.on('error', finish);
    socket.on('end', finish);
    socket.on('close', finish);
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return length !== undefined && text.length >= end + 4 + Number(length);
}
