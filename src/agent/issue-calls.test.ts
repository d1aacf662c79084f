import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mock, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { WorkloadIdentity } from '#identity';
import {
  createMessage,
  type IssueRequest,
  type IssueResponse,
  JwtSvidResponseSchema,
  X509SvidResponseSchema,
} from '#wire';
import { type Asked, createIssueCalls } from './issue-calls.ts';

/** The authority's end of a stream. */
class FakeStream extends EventEmitter {
  readonly asked: IssueRequest[] = [];
  isEnded = false;
  write = (request: IssueRequest): boolean => this.asked.push(request) > 0;
  end = (): void => {
    this.isEnded = true;
    this.emit('end');
  };
  answer(at: number, response: IssueResponse['response']): void {
    this.emit('data', { id: this.asked[at]?.id, response });
  }
}

const ONE = { serial: '1' } as WorkloadIdentity;
const TWO = { serial: '2' } as WorkloadIdentity;
const TOKEN: Asked = { case: 'jwtSvid', value: { spiffeId: 'spiffe://a/b' } };
const SVID: Asked = { case: 'x509Svid', value: {} };

function jwt(token: string): IssueResponse['response'] {
  return { case: 'jwtSvid', value: createMessage(JwtSvidResponseSchema, { token }) };
}

/** Calls over a pool with a channel for each identity. */
function start() {
  const streams: FakeStream[] = [];
  let users = 0;
  const targets = new Map([ONE, TWO].map((identity) => [identity, {} as never]));
  const open = () => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream as never;
  };
  const calls = createIssueCalls(
    {
      acquire(_service, as) {
        users++;
        const target = targets.get(as) as never;
        return { client: {} as never, target, release: () => void users-- };
      },
    },
    open,
  );
  return { calls, streams, users: () => users };
}

test('requests share a stream, and each gets its own answer in whatever order', async () => {
  const { calls, streams, users } = start();
  const answers = [calls.jwt(ONE, TOKEN), calls.jwt(ONE, TOKEN), calls.x509(ONE, SVID)];
  const [stream] = streams;
  assert.equal(streams.length, 1);
  stream?.answer(1, jwt('second'));
  stream?.answer(2, { case: 'x509Svid', value: createMessage(X509SvidResponseSchema, {}) });
  stream?.answer(0, jwt('first'));
  stream?.answer(0, jwt('attack: answered twice'));
  const [one, two] = (await Promise.all(answers)) as { token?: string }[];
  assert.deepEqual([one?.token, two?.token], ['first', 'second']);
  assert.equal(users(), 1, 'the stream itself');
  calls.close();
  assert.equal(users(), 0);
});

test('a refusal is the error that a call would have ended with', async () => {
  const { calls, streams } = start();
  const answers = [calls.jwt(ONE, TOKEN), calls.x509(ONE, SVID)];
  const value = { code: status.PERMISSION_DENIED, details: 'not registered' };
  streams[0]?.answer(0, { case: 'refusal', value } as never);
  // SECURITY: a token where a certificate was asked for is no answer.
  streams[0]?.answer(1, jwt('for a certificate'));
  await assert.rejects(answers[0] as Promise<unknown>, { ...value, message: 'not registered' });
  await assert.rejects(answers[1] as Promise<unknown>, { code: status.INTERNAL });
  calls.close();
});

test('a stream that breaks fails what waits on it, and the next request opens another', async () => {
  const { calls, streams, users } = start();
  const broken = calls.jwt(ONE, TOKEN);
  streams[0]?.emit('error', { code: status.UNAVAILABLE, details: 'gone' });
  await assert.rejects(broken, { code: status.UNAVAILABLE, details: 'gone' });
  assert.equal(users(), 0);
  const next = calls.jwt(ONE, TOKEN);
  streams[1]?.answer(0, jwt('again'));
  assert.equal((await next).token, 'again');
  calls.close();
});

test('a renewed identity asks on a stream of its own; what was asked before is still answered', async () => {
  const { calls, streams, users } = start();
  const before = calls.jwt(ONE, TOKEN);
  const after = calls.jwt(TWO, TOKEN);
  assert.equal(streams.length, 2);
  assert.equal(streams[0]?.isEnded, false);
  streams[1]?.answer(0, jwt('after'));
  streams[0]?.answer(0, jwt('before'));
  assert.deepEqual([(await before).token, (await after).token], ['before', 'after']);
  assert.equal(streams[0]?.isEnded, true);
  assert.equal(users(), 1);
  calls.close();
});

test('an authority that does not answer is not waited for, and an idle stream ends', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { calls, streams, users } = start();
  const late = calls.jwt(ONE, TOKEN);
  mock.timers.tick(10_000);
  await assert.rejects(late, { code: status.DEADLINE_EXCEEDED });
  // Of a connection that says nothing nobody knows whether it lives.
  assert.equal(streams[0]?.isEnded, true);
  const next = calls.jwt(ONE, TOKEN);
  streams[1]?.answer(0, jwt('on another'));
  assert.equal((await next).token, 'on another');
  assert.equal(streams[1]?.isEnded, false);
  mock.timers.tick(30_000);
  assert.equal(streams[1]?.isEnded, true);
  assert.equal(users(), 0);
  mock.timers.reset();
});
