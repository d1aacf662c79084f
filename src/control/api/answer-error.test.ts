import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { RecordsTooSlow } from '#record-store';
import type { Log } from '#telemetry';
import { ApiProblem } from '../errors.ts';
import { answerError } from './app.ts';
import type { ApiEnv } from './context.ts';

test('what went wrong is told as far as the asker can do something about it, and logged', async () => {
  const cases: readonly (readonly [Error, number, string, number])[] = [
    [new ApiProblem('not_found', 'no such record'), 404, 'no such record', 0],
    [new RecordsTooSlow('ask about a shorter time'), 503, 'ask about a shorter time', 1],
    [new Error('password authentication failed'), 500, 'the request failed', 1],
  ];
  for (const [error, status, detail, logged] of cases) {
    const lines: unknown[] = [];
    const log = { error: (line: unknown) => lines.push(line) } as unknown as Log;
    const app = new Hono<ApiEnv>();
    app.onError((thrown, c) => answerError(thrown, c, log));
    app.get('/', () => {
      throw error;
    });
    const response = await app.request('/');
    const problem = (await response.json()) as { detail: string };
    assert.deepEqual([response.status, problem.detail, lines.length], [status, detail, logged]);
  }
});
