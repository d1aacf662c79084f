import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, before, suite, test } from 'node:test';
import { ok } from '#lib';
import type { TokenRule } from '#token';
import { certificateThumbprint, createFakeIssuer, fakeTokenRule } from './fake-issuer.ts';
import { createFakeMesh, fakePolicy } from './fake-mesh.ts';
import {
  ALLOW_WEB,
  ask,
  createFakePair,
  type FakePair,
  type FakePairOptions,
} from './fake-pair.ts';
import { claimsNow } from './token.ts';

const good = createFakeIssuer();
const other = createFakeIssuer('https://other.example.com', 'k2');
const stranger = createFakeIssuer('https://evil.example.com');
const forger = createFakeIssuer(good.issuer);

/** The application answers with the headers and target it got. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const { headers, url } = request;
  response.end(JSON.stringify({ headers, url }));
}

type Answer = {
  readonly status: number;
  readonly head: string;
  readonly got: { readonly headers: Record<string, string>; readonly url: string } | undefined;
};

async function call(pair: FakePair, lines: readonly string[], target = '/'): Promise<Answer> {
  const more = lines.map((line) => `${line}\r\n`).join('');
  const raw = `GET http://orders${target} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n${more}\r\n`;
  const text = await ask(pair.caller.outboundPort, raw);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const status = Number(text.slice(9, 12));
  const json = /\{.*\}/s.exec(body)?.[0];
  return {
    status,
    head: head.toLowerCase(),
    got: status === 200 && json ? JSON.parse(json) : undefined,
  };
}

/** Runs `use` with a pair whose server has these rules. */
async function withPair(
  rules: readonly TokenRule[],
  use: (pair: FakePair) => Promise<void>,
  more: Partial<FakePairOptions> = {},
): Promise<void> {
  const pair = await createFakePair({ application: echo, tokens: rules, ...more });
  try {
    await use(pair);
  } finally {
    await pair.close();
  }
}

const bearer = (token: string) => `Authorization: Bearer ${token}`;

suite('tokens of one issuer', () => {
  let pair: FakePair;
  before(async () => {
    const rule = fakeTokenRule(good, {
      payloadHeader: 'x-user-payload',
      claimHeaders: [
        { header: 'x-user', claim: 'sub' },
        { header: 'x-role', claim: 'realm.role' },
        { header: 'x-groups', claim: 'groups' },
      ],
    });
    pair = await createFakePair({ application: echo, tokens: [rule, fakeTokenRule(other)] });
  });
  after(() => pair.close());

  const cases: readonly (readonly [string, readonly string[], number])[] = [
    ['a valid one passes', [bearer(good.token())], 200],
    ['a valid one of another issuer passes', [bearer(other.token())], 200],
    ['none passes: whether one is needed, policy says', [], 200],
    ['another scheme is no token', ['Authorization: Basic YTpi'], 200],
    ['the scheme in lower case is a token', [`authorization: bearer ${forger.token()}`], 401],
    ['attack: signed by somebody else', [bearer(forger.token())], 401],
    ['attack: of an issuer nobody named', [bearer(stranger.token())], 401],
    ['attack: one issuer signs for another', [bearer(other.token({ iss: good.issuer }))], 401],
    ['expired', [bearer(good.token({ exp: 1 }))], 401],
    ['attack: garbage', [bearer('garbage')], 401],
    ['attack: two tokens', [bearer(good.token()), bearer(good.token())], 400],
    ['attack: a token of 20 KB', [bearer(`${'a'.repeat(20_000)}.b.c`)], 401],
    ['attack: a token of 1 MB', [bearer('a'.repeat(1_000_000))], 431],
    ['attack: a token of 100 KB', [bearer('a'.repeat(100_000))], 431],
  ];
  for (const [name, lines, status] of cases) {
    test(name, async () => {
      const answer = await call(pair, lines);
      assert.equal(answer.status, status, answer.head);
      if (status !== 401) return;
      assert.match(answer.head, /www-authenticate: bearer error="invalid_token"/);
      assert.match(answer.head, /x-palisade-reason: token_invalid/);
      assert.match(answer.head, /x-palisade-denial: [0-9a-f]+/);
    });
  }

  test('the token stays here, and its claims go on as headers', async () => {
    const token = good.token({ realm: { role: 'admin' }, groups: ['a', 'b'] });
    const { got } = await call(pair, [bearer(token)]);
    assert.equal(got?.headers['authorization'], undefined);
    assert.equal(got?.headers['x-user'], 'ada');
    assert.equal(got?.headers['x-role'], 'admin');
    const groups = Buffer.from(got?.headers['x-groups'] ?? '', 'base64url').toString();
    assert.equal(groups, '["a","b"]');
    const payload = Buffer.from(got?.headers['x-user-payload'] ?? '', 'base64url').toString();
    assert.equal(JSON.parse(payload).sub, 'ada');
  });

  test('attack: a caller writes the headers that only a token may write', async () => {
    const spoofed = ['x-user: root', 'X-Role: admin', 'x_user: root', 'x-user-payload: e30'];
    for (const lines of [spoofed, [...spoofed, bearer(other.token())]]) {
      const { got } = await call(pair, lines);
      assert.deepEqual(
        Object.keys(got?.headers ?? {}).filter((name) => /^x[-_](?:user|role)/.test(name)),
        [],
      );
    }
  });

  test('attack: a claim with a line break writes no header of its own', async () => {
    const token = good.token({ sub: 'ada\r\nx-role: admin', realm: { role: 'a\nb' } });
    const { got } = await call(pair, [bearer(token)]);
    assert.deepEqual([got?.headers['x-user'], got?.headers['x-role']], [undefined, undefined]);
  });

  test('attack: a token hidden from the sidecar is hidden from the application too', async () => {
    const lines = ['Connection: authorization, close', bearer(forger.token())];
    const raw = `GET http://orders/ HTTP/1.1\r\nHost: orders\r\n${lines.join('\r\n')}\r\n\r\n`;
    const text = await ask(pair.caller.outboundPort, raw);
    assert.doesNotMatch(text, /eyJ/);
  });

  test('a token in the query is found, too, and one in each place has to be valid', async () => {
    const target = `/?access_token=${forger.token()}`;
    assert.equal((await call(pair, [], target)).status, 401);
    assert.equal((await call(pair, [bearer(good.token())], target)).status, 401);
    assert.equal((await call(pair, [], `/?access_token=${good.token()}`)).status, 200);
  });

  test('a refusal is in the record, without the token', () => {
    const seen = pair.orders.records.filter(({ reason }) => reason === 'token_invalid');
    assert.ok(seen.length > 5);
    assert.ok(seen.every(({ verdict, status }) => verdict === 'deny' && status === 401));
    assert.doesNotMatch(JSON.stringify(pair.orders.records), /eyJ/);
  });
});

test('named places: a header with a prefix, a cookie, a parameter', async () => {
  const locations: TokenRule['locations'] = [
    { kind: 'header', name: 'x-jwt', prefix: 'Token ' },
    { kind: 'cookie', name: 'session' },
    { kind: 'param', name: 'jwt' },
  ];
  const rule = fakeTokenRule(good, { locations, forwardOriginalToken: true });
  await withPair([rule], async (pair) => {
    const outcomes = [
      await call(pair, [`X-Jwt: Token ${good.token()}`]),
      await call(pair, [`X-Jwt: Token ${forger.token()}`]),
      await call(pair, [`Cookie: a=b; session=${good.token()}`]),
      await call(pair, [`Cookie: session=${forger.token()}; a=b`]),
      await call(pair, [`Cookie: session=${good.token()}; session=x`]),
      await call(pair, [], `/?jwt=${good.token()}`),
      await call(pair, [], `/?jwt=${forger.token()}`),
      await call(pair, [bearer('not looked at here')]),
    ];
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      [200, 401, 200, 401, 401, 200, 401, 200],
    );
    assert.ok(outcomes[0]?.got?.headers['x-jwt']?.startsWith('Token '));
  });
});

test('policy judges the claims, and a spoofed header does not stand for them', async () => {
  const rule = fakeTokenRule(good, { claimHeaders: [{ header: 'x-role', claim: 'role' }] });
  const policies = [
    fakePolicy('ALLOW', 'users', {
      requestPrincipal: [`${good.issuer}/ada`],
      'header:x-role': ['admin'],
    }),
  ];
  await withPair(
    [rule],
    async (pair) => {
      const statuses = [
        await call(pair, [bearer(good.token({ role: 'admin' }))]),
        await call(pair, [bearer(good.token({ role: 'user' })), 'x-role: admin']),
        await call(pair, [bearer(good.token({ sub: 'eve', role: 'admin' }))]),
        await call(pair, ['x-role: admin']),
      ].map(({ status }) => status);
      assert.deepEqual(statuses, [200, 403, 403, 403]);
    },
    { policies },
  );
});

test('a claim that is said to hold a list is judged word by word', async () => {
  const policies = [fakePolicy('ALLOW', 'admins', { 'claim:["roles"]': ['admin'] })];
  const statuses = async (more: object): Promise<readonly number[]> => {
    const seen: number[] = [];
    await withPair(
      [fakeTokenRule(good, more)],
      async (pair) => {
        for (const roles of ['user admin', 'administrator', 'admin']) {
          seen.push((await call(pair, [bearer(good.token({ roles }))])).status);
        }
      },
      { policies },
    );
    return seen;
  };
  assert.deepEqual(await statuses({ spaceDelimitedClaims: ['roles'] }), [200, 403, 200]);
  assert.deepEqual(await statuses({}), [403, 403, 200]);
});

test('without a token where policy asks for one a user is sent to get one, and nobody else is', async () => {
  const policies = [
    fakePolicy('ALLOW', 'users', { requestPrincipal: ['*'], path: ['/mine', '/closed'] }),
    fakePolicy('DENY', 'closed', { path: ['/closed'] }),
  ];
  await withPair(
    [fakeTokenRule(good)],
    async (pair) => {
      const missing = await call(pair, [], '/mine');
      assert.equal(missing.status, 401);
      assert.match(missing.head, /x-palisade-reason: token_invalid\r\n/);
      assert.match(missing.head, /x-palisade-denial: \w+\r\n/);
      // RFC 6750 section 3: no error code where no token came.
      assert.match(missing.head, /www-authenticate: Bearer\r\n/i);
      assert.equal((await call(pair, [bearer(good.token())], '/mine')).status, 200);
      assert.equal((await call(pair, [], '/closed')).status, 403);
      assert.equal((await call(pair, [], '/elsewhere')).status, 403);
      assert.equal((await call(pair, [bearer(good.token())], '/elsewhere')).status, 403);
    },
    { policies },
  );
});

test('claims count no more once policy no longer names their issuer', () => {
  const rule = fakeTokenRule(good);
  const user = { kind: 'pass', claims: { iss: good.issuer }, headers: undefined, rule } as const;
  assert.ok(claimsNow(user, [fakeTokenRule(good)]) !== undefined);
  assert.equal(claimsNow(user, [fakeTokenRule(other)]), undefined);
  assert.equal(claimsNow(user, []), undefined);
});

suite('proof of possession', () => {
  test('a token bound to a certificate is good for its holder alone', async () => {
    const mesh = createFakeMesh();
    const rule = fakeTokenRule(good, { certificateBound: true });
    await withPair(
      [rule],
      async (pair) => {
        const own = pair.web.identity.current()?.chainDer[0];
        assert.ok(own !== undefined);
        const bound = (der: Uint8Array) => ({ cnf: { 'x5t#S256': certificateThumbprint(der) } });
        const stolen = mesh.issue('other').chainDer[0] as Uint8Array;
        const statuses = [
          await call(pair, [bearer(good.token(bound(own)))]),
          await call(pair, [bearer(good.token(bound(stolen)))]),
          await call(pair, [bearer(good.token())]),
        ].map(({ status }) => status);
        assert.deepEqual(statuses, [200, 401, 401]);
      },
      { mesh },
    );
  });

  test('DPoP: a proof is for one request, one token and one key, once', async () => {
    const locations: TokenRule['locations'] = [
      { kind: 'header', name: 'authorization', prefix: 'DPoP ' },
    ];
    const client = createFakeIssuer('client');
    await withPair([fakeTokenRule(good, { dpop: 'require', locations })], async (pair) => {
      const token = good.token({ cnf: { jkt: client.thumbprint } });
      let jti = 0;
      const proof = (over: object = {}, of = token) =>
        client.proof({
          jti: `${++jti}`,
          htm: 'GET',
          htu: 'http://orders/',
          iat: Math.floor(Date.now() / 1000),
          ath: createHash('sha256').update(of).digest('base64url'),
          ...over,
        });
      const once = proof();
      const send = async (dpop: string | undefined, of = token) =>
        (await call(pair, [`Authorization: DPoP ${of}`, ...(dpop ? [`DPoP: ${dpop}`] : [])]))
          .status;
      const unbound = good.token();
      assert.deepEqual(
        [
          await send(once),
          await send(once),
          await send(undefined),
          await send(proof({ htm: 'POST' })),
          await send(proof({ htu: 'http://orders/other' })),
          await send(proof({ htu: 'http://elsewhere/' })),
          await send(proof({ iat: 1 })),
          await send(proof({ ath: 'x' })),
          await send(forger.proof({ jti: 'f', htm: 'GET' })),
          await send(proof({}, unbound), unbound),
          await send(proof()),
        ],
        [200, 401, 401, 401, 401, 401, 401, 401, 401, 401, 200],
      );
      const refused = await call(pair, [`Authorization: DPoP ${token}`]);
      assert.match(refused.head, /www-authenticate: dpop error="invalid_dpop_proof"/);
    });
  });
});

suite('keys that have to be fetched', () => {
  const remote = (of = good) =>
    fakeTokenRule(of, { keys: { kind: 'remote', uri: `${of.issuer}/jwks`, timeoutMs: 1000 } });

  test('the first request waits for them, and later ones do not ask again', async () => {
    let asked = 0;
    const fetchJwks = async () => {
      asked++;
      await new Promise((resolve) => setImmediate(resolve));
      return ok(good.jwks);
    };
    await withPair(
      [remote()],
      async (pair) => {
        for (let i = 0; i < 3; i++)
          assert.equal((await call(pair, [bearer(good.token())])).status, 200);
        assert.equal(asked, 1);
      },
      { fetchJwks },
    );
  });

  test('an issuer that cannot be reached is no policy denial, and hurts nobody else', async () => {
    const fetchJwks: NonNullable<FakePairOptions['fetchJwks']> = (uri) =>
      Promise.resolve(uri.startsWith(good.issuer) ? ok(good.jwks) : { ok: false, error: 'down' });
    await withPair(
      [remote(other), remote()],
      async (pair) => {
        const down = await call(pair, [bearer(other.token())]);
        assert.equal(down.status, 403);
        assert.match(down.head, /x-palisade-reason: cannot_decide/);
        assert.equal((await call(pair, [bearer(good.token())])).status, 200);
        assert.equal((await call(pair, [])).status, 200);
      },
      { fetchJwks, policies: [ALLOW_WEB] },
    );
  });

  test('a key that is new to us is asked for at once, but an unknown one not again and again', async () => {
    const renewed = createFakeIssuer(good.issuer, 'k9');
    let asked = 0;
    let jwks = good.jwks;
    let nowMs = Date.now();
    const fetchJwks = () => {
      asked++;
      return Promise.resolve(ok(jwks));
    };
    const { TokenKeys } = await import('./token-keys.ts');
    const { TokenStage } = await import('./token.ts');
    const { createProxyMetrics, createSilentLog } = await import('#telemetry');
    const workload = { service: 's', namespace: 'n', trustDomain: 't' };
    const metrics = createProxyMetrics({ workload, clock: Date.now });
    const keys = new TokenKeys({
      fetchText: fetchJwks,
      store: undefined,
      metrics,
      log: createSilentLog(),
      clock: () => nowMs,
    });
    const stage = new TokenStage(keys);
    const rules = [remote()];
    const check = async (token: string): Promise<string> => {
      const fields = {
        value: () => undefined,
        valueOf: () => undefined,
        names: () => [],
        values: (name: string) => (name === 'authorization' ? [`Bearer ${token}`] : []),
      };
      const head = { method: 'GET', path: '/', target: '/', host: 'orders', fields };
      for (;;) {
        const outcome = stage.check(rules, { head, certificate: undefined, nowMs });
        if (outcome.kind !== 'wait') return outcome.kind;
        await outcome.ready;
      }
    };
    assert.equal(await check(good.token()), 'pass');
    nowMs += 11_000;
    jwks = renewed.jwks;
    assert.equal(await check(renewed.token()), 'pass');
    assert.equal(asked, 2);
    // The key that was taken back verifies no more, not even what it verified before.
    assert.equal(await check(good.token()), 'refuse');
    for (let i = 0; i < 50; i++)
      assert.equal(await check(stranger.token({ iss: good.issuer })), 'refuse');
    assert.equal(asked, 2);
    keys.close();
  });
});
