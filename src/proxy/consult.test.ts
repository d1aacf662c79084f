import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { PolicyIr } from '#policy';
import type { AuthorizationProvider } from '#snapshot';
import type { Consult, ConsultAnswer, ConsultRequest } from './consult.ts';
import { createFakeMesh, fakePolicy, fakeService, fakeSnapshot } from './fake-mesh.ts';
import { ALLOW_WEB, ask, createFakePair, type FakePair, talk } from './fake-pair.ts';

const PROVIDER: AuthorizationProvider = {
  name: 'judge',
  protocol: 'grpc',
  host: '127.0.0.1',
  port: 1,
  timeoutMs: 1_000,
  failOpen: false,
  pathPrefix: '',
  copiedHeaders: [],
  addedHeaders: {},
};

/** A CUSTOM policy for paths under `/ask`. */
const ASK: PolicyIr = {
  ...fakePolicy('CUSTOM', 'ask', { path: ['/ask*'] }),
  provider: 'judge',
};
const DENY_ADMIN = fakePolicy('DENY', 'admin', { path: ['*/admin'] });

const GET = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: orders\r\n${more}\r\n`;

/** A pair whose server asks `answer`; every question is kept. */
async function start(
  context: TestContext,
  answer: (request: ConsultRequest) => ConsultAnswer | Promise<ConsultAnswer>,
  options: { readonly providers?: readonly AuthorizationProvider[]; readonly tcp?: boolean } = {},
): Promise<{ readonly pair: FakePair; readonly asked: ConsultRequest[] }> {
  const asked: ConsultRequest[] = [];
  const consult: Consult = async (request) => {
    asked.push(request);
    return answer(request);
  };
  const mesh = createFakeMesh();
  const ports = [{ port: 80, name: 'tcp', protocol: 'tcp' as const }];
  const pair = await createFakePair({
    mesh,
    application: (_, response) => response.end('ok'),
    // On a TCP connection the DENY policy would lose its path and deny everything.
    policies: options.tcp === true ? [ALLOW_WEB, ASK] : [ALLOW_WEB, ASK, DENY_ADMIN],
    providers: options.providers ?? [PROVIDER],
    consult,
    ...(options.tcp === true && {
      inbound: [{ protocol: 'tcp' as const }],
      service: fakeService(mesh, 'orders', { ports }),
      upstreams: [{ service: 'orders', port: 80, localPort: 0 }],
    }),
  });
  context.after(() => pair.close());
  return { pair, asked };
}

async function statusOf(pair: FakePair, path: string): Promise<string> {
  const answer = await ask(pair.caller.outboundPort, GET(path));
  const reason = /x-palisade-reason: (\S+)/.exec(answer)?.[1];
  return `${answer.slice(9, 12)}${reason === undefined ? '' : ` ${reason}`}`;
}

/** What the provider says and what the caller of `/ask` is told. */
const ANSWERS: readonly (readonly [ConsultAnswer, string])[] = [
  [{ kind: 'allow' }, '200'],
  [{ kind: 'deny' }, '403 policy_denied'],
  [{ kind: 'unable', detail: 'timeout' }, '403 cannot_decide'],
];

for (const [answer, wanted] of ANSWERS) {
  test(`a provider that says ${answer.kind} means ${wanted}`, async (context) => {
    const { pair, asked } = await start(context, () => answer);
    assert.equal(await statusOf(pair, '/ask/1'), wanted);
    assert.equal(asked.length, 1);
    assert.equal(asked[0]?.question.request?.path, '/ask/1');
    assert.equal(await statusOf(pair, '/other'), '200');
    assert.equal(asked.length, 1, 'what no CUSTOM policy matches is not asked about');
    const [record] = pair.orders.records;
    assert.equal(record?.policy, wanted === '200' ? 'default/web' : 'default/ask');
    assert.equal(record?.verdict, wanted === '200' ? 'allow' : 'deny');
  });
}

test('a provider is asked before DENY, and its yes does not outweigh it', async (context) => {
  const { pair, asked } = await start(context, () => ({ kind: 'allow' }));
  assert.equal(await statusOf(pair, '/ask/admin'), '403 policy_denied');
  assert.equal(asked.length, 1);
  assert.equal(pair.orders.records[0]?.policy, 'default/admin');
});

test('a provider that fails open lets through what it did not judge, and only that', async (context) => {
  let answer: ConsultAnswer = { kind: 'unable', detail: 'unreachable' };
  const { pair } = await start(context, () => answer, {
    providers: [{ ...PROVIDER, failOpen: true }],
  });
  assert.equal(await statusOf(pair, '/ask'), '200');
  answer = { kind: 'deny' };
  assert.equal(await statusOf(pair, '/ask'), '403 policy_denied');
});

test('a provider that the mesh does not name, or that throws, has not judged', async (context) => {
  const unnamed = await start(context, () => ({ kind: 'allow' }), { providers: [] });
  assert.equal(await statusOf(unnamed.pair, '/ask'), '403 cannot_decide');
  const broken = await start(context, () => {
    throw new Error('broken');
  });
  assert.equal(await statusOf(broken.pair, '/ask'), '403 cannot_decide');
});

test('consent for one request does not count for the next on its connection', async (context) => {
  let count = 0;
  const { pair } = await start(context, () => ({ kind: count++ === 0 ? 'allow' : 'deny' }));
  const raw = `${GET('/ask/1')}${GET('/ask/2', 'Connection: close\r\n')}`;
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const answers = await talk(socket, raw);
  assert.deepEqual(
    [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]),
    ['200', '403'],
  );
});

test('a policy that changes while the provider thinks counts when it answers', async (context) => {
  let release: (answer: ConsultAnswer) => void = () => undefined;
  const { pair, asked } = await start(
    context,
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  const answer = statusOf(pair, '/ask/1');
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const closed = fakePolicy('DENY', 'all', {});
  pair.orders.snapshots.set(
    fakeSnapshot(pair.mesh, {
      service: 'orders',
      policies: [ALLOW_WEB, ASK, closed],
      providers: [PROVIDER],
    }),
  );
  release({ kind: 'allow' });
  assert.equal(await answer, '403 policy_denied');
});

test('a TCP connection waits for its provider, and is cut if it says no', async (context) => {
  const answers: ConsultAnswer[] = [{ kind: 'allow' }, { kind: 'deny' }];
  const { pair, asked } = await start(context, () => answers.shift() ?? { kind: 'deny' }, {
    tcp: true,
  });
  const converse = async (): Promise<string> => {
    const socket = connect(pair.caller.upstreamPorts[0] ?? 0, '127.0.0.1');
    try {
      return await talk(socket, GET('/', 'Connection: close\r\n'));
    } finally {
      socket.destroy();
    }
  };
  assert.match(await converse(), /200 OK/);
  assert.equal(await converse(), '');
  assert.equal(asked.length, 2);
  assert.equal(asked[0]?.question.request, undefined);
});
