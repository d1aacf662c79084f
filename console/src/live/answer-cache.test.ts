import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { ApiFailure } from '../api/fetch-json.ts';
import { AnswerCache } from './answer-cache.ts';

// `fetch` is replaced by a queue of answers, one for each request.

const realFetch = globalThis.fetch;
let requests: string[];
let answers: (() => Response)[];
let failures: ApiFailure[];
let heard: number;
let cache: AnswerCache;

beforeEach(() => {
  requests = [];
  answers = [];
  failures = [];
  heard = 0;
  cache = new AnswerCache({
    onFailure: (failure) => failures.push(failure),
    onHeard: () => {
      heard += 1;
    },
  });
  globalThis.fetch = (url) => {
    requests.push(String(url));
    const answer = answers.shift();
    return answer === undefined
      ? Promise.reject(new TypeError('connection refused'))
      : Promise.resolve(answer());
  };
});

afterEach(() => {
  globalThis.fetch = realFetch;
});

function json(status: number, body: unknown): () => Response {
  return () => new Response(JSON.stringify(body), { status });
}

test('an answer is kept, told to whoever watches, and counts as a sign of life', async () => {
  let told = 0;
  cache.watch('/map', () => {
    told += 1;
  });
  answers.push(json(200, { edges: [] }));
  await cache.refresh('/map');
  assert.deepEqual(cache.read('/map').data, { edges: [] });
  assert.deepEqual([requests, told, heard], [['/api/v1/map'], 1, 1]);
});

test('requests that overlap become one', async () => {
  answers.push(json(200, 1));
  await Promise.all([cache.refresh('/map'), cache.refresh('/map')]);
  assert.equal(requests.length, 1);
});

const bad: { name: string; answer: (() => Response) | undefined; expected: ApiFailure }[] = [
  {
    name: 'silence',
    answer: undefined,
    expected: { status: 0, code: 'unreachable', sentence: 'the control plane does not answer' },
  },
  {
    name: 'a problem',
    answer: json(503, { code: 'unavailable', detail: 'the store is busy' }),
    expected: { status: 503, code: 'unavailable', sentence: 'the store is busy' },
  },
  {
    name: 'a page of something in between',
    answer: () => new Response('<html>', { status: 502 }),
    expected: { status: 502, code: 'unreadable', sentence: 'an answer (502) that is no JSON' },
  },
];

for (const { name, answer, expected } of bad) {
  test(`${name} leaves the old answer and says why it is old`, async () => {
    answers.push(json(200, 'old'));
    await cache.refresh('/map');
    if (answer !== undefined) answers.push(answer);
    await cache.refresh('/map');
    assert.equal(cache.read('/map').data, 'old');
    assert.deepEqual(cache.read('/map').failure, expected);
    assert.deepEqual(failures, [expected]);
    answers.push(json(200, 'new'));
    await cache.refresh('/map');
    assert.deepEqual([cache.read('/map').data, cache.read('/map').failure], ['new', undefined]);
  });
}

test('answers nobody looks at do not pile up, those watched stay', async () => {
  cache.watch('/kept', () => undefined);
  answers.push(json(200, 'kept'));
  await cache.refresh('/kept');
  for (let index = 0; index < 100; index += 1) {
    answers.push(json(200, index));
    await cache.refresh(`/records?cursor=${index}`);
  }
  assert.equal(cache.read('/kept').data, 'kept');
  assert.equal(cache.read('/records?cursor=0').data, undefined);
  assert.equal(cache.read('/records?cursor=99').data, 99);
});
