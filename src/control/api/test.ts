import { createRoute, z } from '@hono/zod-openapi';
import { measureCoverage, type PolicyTestResult, runPolicyTest } from '#compile';
import { parseResources } from '#resource';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { AnyObject, asObject, problemAnswers } from './schemas.ts';

const Question = z
  .object({
    /** One or more documents of the kind PolicyTest. */
    text: z
      .string()
      .min(1)
      .max(1024 * 1024),
    namespace: z.string().max(63).optional(),
  })
  .openapi('PolicyTestRun');

const run = createRoute({
  method: 'post',
  path: '/test',
  summary: 'Holds what is stored now against policy tests; nothing is stored or changed',
  request: { body: { required: true, content: { 'application/json': { schema: Question } } } },
  responses: {
    200: {
      description: '`passed`, `cases` with what was considered, `coverage` of the policies asked',
      content: { 'application/json': { schema: AnyObject.openapi('PolicyTestReport') } },
    },
    ...problemAnswers(['cannot_answer', 'too_large']),
  },
});

// Each case is explained in full, and somebody waits for the answer.
const MAX_CASES = 500;

/** POST /test. */
export function addTestRoute(api: Api, context: ApiContext): void {
  api.openapi(run, (c) => {
    const { text, namespace = 'default' } = c.req.valid('json');
    const { trustDomain, resources, clock } = context;
    const parsed = parseResources([{ file: 'test', text }], {
      defaultNamespace: namespace,
      trustDomain,
    });
    const problem = parsed.diagnostics.find(({ severity }) => severity === 'error');
    if (problem !== undefined) {
      const { line, column, message, help } = problem;
      throw new ApiProblem('bad_request', `line ${line}, column ${column}: ${message}; ${help}`);
    }
    const tests = parsed.tests.map(({ test }) => test);
    const count = tests.reduce((sum, test) => sum + test.cases.length, 0);
    if (count === 0) throw new ApiProblem('bad_request', 'the text holds no PolicyTest');
    if (count > MAX_CASES) throw new ApiProblem('bad_request', `more than ${MAX_CASES} cases`);
    const input = { sets: resources.now(), trustDomain, nowMs: clock() };
    const results = tests.flatMap((test) => runPolicyTest(test, input));
    const explanations = results.flatMap(({ explanation }) => explanation ?? []);
    const asked = new Set(
      explanations.flatMap(({ considered }) => considered.map(({ policy }) => policy)),
    );
    const coverage = measureCoverage(input.sets, explanations).policies.filter(({ policy }) =>
      asked.has(policy),
    );
    const passed = results.every((result) => result.passed);
    return c.json({ passed, cases: results.map(caseOf), coverage: coverage.map(asObject) }, 200);
  });
}

function caseOf({ index: _index, explanation, ...result }: PolicyTestResult) {
  return { ...result, explanation: explanation ?? null };
}
