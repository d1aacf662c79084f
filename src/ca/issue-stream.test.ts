import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { parseBundle, parseTrustDomain, verifyX509Svid } from '#identity';
import {
  createMessage,
  ISSUE_CLIENT,
  type IssueRequest,
  IssueRequestSchema,
  type IssueResponse,
  openMessageStream,
} from '#wire';
import {
  createTestMesh,
  csrOf,
  enrol,
  registration,
  signSet,
  startFakeControl,
  type TestCaller,
  TRUST_DOMAIN,
} from './fixtures.ts';

const WEB = ['unix:uid:1000'];
const ID = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
const mesh = createTestMesh();
const first = await mesh.startCa();
const control = await startFakeControl(mesh, first);
await first.close();
const plenty = { burst: 1e6, perSecond: 1e6 };
const limits = { rateLimit: plenty, tokenRateLimit: plenty };
const ca = await mesh.startCa({ control: control.address, ...limits });
await control.subscribed();
const agent = await enrol(mesh, ca.port, '/palisade/agent/host-1', mesh.tokens.agent);
await control.send(signSet(mesh, [registration('web', WEB)]));

after(async () => {
  agent.client.close();
  await ca.close();
  await control.close();
  mesh.remove();
});

type Request = NonNullable<IssueRequest['request']>;
const svidOf = (path: string, selectors: readonly string[] = WEB) =>
  ({ case: 'x509Svid', value: { csr: csrOf(path).csr, selectors } }) as unknown as Request;
const tokenFor = (audience: string) =>
  ({
    case: 'jwtSvid',
    value: { spiffeId: ID, audience: [audience], selectors: WEB },
  }) as unknown as Request;

function connect(as?: Pick<TestCaller, 'chainPem' | 'privateKeyPem'>) {
  const { chainPem = '', privateKeyPem = '' } = as ?? {};
  const client = as === undefined ? {} : { client: { chainPem, privateKeyPem } };
  const address = `127.0.0.1:${ca.port}`;
  const to = { kind: 'tls', address, rootsPem: [mesh.rootPem], ...client } as const;
  return openMessageStream({ ...to, verifyServer: () => undefined }, ISSUE_CLIENT);
}

/** The answers to all of these, by the place of what was asked. */
async function answersTo(requests: readonly Request[]): Promise<readonly IssueResponse[]> {
  const stream = connect(agent);
  const answers: IssueResponse[] = [];
  let left = requests.length;
  await new Promise<void>((resolve, reject) => {
    stream.on('data', (answer) => {
      answers[answer.id] = answer;
      if (--left === 0) resolve();
    });
    stream.on('error', reject);
    stream.on('end', () => reject(new Error('the authority ended it')));
    for (const [id, request] of requests.entries()) {
      stream.write(createMessage(IssueRequestSchema, { id, request }));
    }
  });
  stream.end();
  return answers;
}

function refusalOf({ response }: IssueResponse): number | undefined {
  return response.case === 'refusal' ? response.value.code : undefined;
}

test('each request on a stream is answered or refused by itself', async () => {
  const [svid, stranger, own, token, unknown, nothing] = await answersTo([
    svidOf('/ns/shop/sa/web'),
    svidOf('/ns/shop/sa/other'),
    svidOf('/palisade/agent/host-1', []),
    tokenFor('reports'),
    svidOf('/ns/shop/sa/web', ['unix:uid:7']),
    { case: undefined } as unknown as Request,
  ]);
  const trustDomain = parseTrustDomain(TRUST_DOMAIN);
  assert.ok(trustDomain.ok);
  const bundle = parseBundle(trustDomain.value, mesh.rootPem);
  assert.ok(bundle.ok && svid?.response.case === 'x509Svid');
  const verified = verifyX509Svid(svid.response.value.chain, bundle.value, mesh.clock.nowMs);
  assert.ok(verified.ok);
  assert.equal(verified.value.id.text, ID);
  assert.ok(svid.response.value.logHead.length > 0, 'with the head of the log');
  assert.equal(own?.response.case, 'x509Svid', "the agent's renewal");
  assert.ok(token?.response.case === 'jwtSvid' && token.response.value.logNumber > 0n);
  for (const denied of [stranger, unknown]) {
    assert.equal(denied && refusalOf(denied), status.PERMISSION_DENIED);
  }
  assert.equal(nothing && refusalOf(nothing), status.INVALID_ARGUMENT);
});

test('attack: more requests at once than are held are read later, and each is answered', async () => {
  const asked = Array.from({ length: 600 }, (_, i) => tokenFor(`audience-${i}`));
  const answers = await answersTo(asked);
  assert.equal(answers.filter(({ response }) => response.case === 'jwtSvid').length, 600);
});

test('attack: a connection without a certificate is not kept', async () => {
  const stream = connect();
  const ended = new Promise<string>((resolve) => {
    stream.on('end', () => resolve('end'));
    stream.on('error', () => resolve('error'));
    stream.on('data', () => resolve('data'));
  });
  stream.write(createMessage(IssueRequestSchema, { id: 1, request: tokenFor('reports') }));
  assert.notEqual(await ended, 'data');
});

test('attack: a stream outlives the certificate that it was opened with', async () => {
  mesh.clock.nowMs = Number(agent.svid.expiresAtMs) + 1;
  const [late] = await answersTo([svidOf('/ns/shop/sa/web')]);
  assert.equal(late && refusalOf(late), status.UNAUTHENTICATED);
});
