import type { Covered, PolicyCoverage, PolicyTestResult } from '#compile';
import { type painter, printable } from '../../output.ts';
import { explanationText } from '../questions/explanation-text.ts';

/** One case with its place, `FILE:LINE`. */
export type PlacedResult = PolicyTestResult & { readonly at: string };

/** What a run of policy tests came to. */
export type TestRun = {
  readonly results: readonly PlacedResult[];
  readonly coverage: PolicyCoverage;
};

/** The run for people: failures with the trace of every policy, then counts and what no case exercised. */
export function textReport(run: TestRun, paint: ReturnType<typeof painter>): string {
  const failed = run.results.filter((result) => !result.passed);
  const lines = run.results.map(({ passed, suite, name }) => {
    const mark = passed ? paint('green', 'ok') : paint('red', 'not ok');
    return `${mark} ${printable(suite)}: ${printable(name)}`;
  });
  for (const result of failed) {
    lines.push('', paint('bold', `${printable(result.suite)}: ${printable(result.name)}`));
    lines.push(`  at ${printable(result.at)}`);
    lines.push(...result.problems.map((problem) => `  ${paint('red', printable(problem))}`));
    if (result.explanation !== undefined) {
      const text = explanationText(result.explanation, paint);
      lines.push(...text.split('\n').map((line) => `  ${line}`));
    }
  }
  const passed = run.results.length - failed.length;
  lines.push('', `${passed} of ${run.results.length} cases as expected`, ...coverageLines(run));
  return lines.join('\n');
}

/** TAP 14, with the problems of a case in its YAML block. */
export function tapReport({ results }: TestRun): string {
  const lines = ['TAP version 14', `1..${results.length}`];
  for (const [index, result] of results.entries()) {
    // TAP 14: a number sign and a backslash in a description are escaped.
    const name = printable(`${result.suite}: ${result.name}`).replaceAll(/[\\#]/g, '\\$&');
    lines.push(`${result.passed ? 'ok' : 'not ok'} ${index + 1} - ${name}`);
    if (result.passed) continue;
    const problems = result.problems.map((problem) => `    - ${JSON.stringify(problem)}`);
    lines.push('  ---', `  at: ${JSON.stringify(result.at)}`, '  problems:', ...problems, '  ...');
  }
  return lines.join('\n');
}

/** JUnit's XML as CI systems read it: a suite for each policy test. */
export function junitReport({ results }: TestRun): string {
  const suites = Map.groupBy(results, (result) => result.suite);
  const failures = results.filter((result) => !result.passed).length;
  const body = [...suites].flatMap(([suite, cases]) => {
    const failed = cases.filter((result) => !result.passed).length;
    return [
      `  <testsuite name="${xml(suite)}" tests="${cases.length}" failures="${failed}">`,
      ...cases.map(junitCase),
      '  </testsuite>',
    ];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${results.length}" failures="${failures}">`,
    ...body,
    '</testsuites>',
  ].join('\n');
}

/** The stable JSON of a run. */
export function jsonReport({ results, coverage }: TestRun): Record<string, unknown> {
  return {
    passed: results.every((result) => result.passed),
    cases: results.map(({ explanation, index: _index, ...result }) => ({
      ...result,
      verdict: explanation?.decision.verdict ?? null,
      policy: explanation?.decision.policy ?? null,
    })),
    coverage,
  };
}

/** The share of covered rules and conditions in per cent; of nothing, all is covered. */
export function percent({ covered, all }: Covered): number {
  return all === 0 ? 100 : Math.floor((100 * covered) / all);
}

function coverageLines({ coverage }: TestRun): readonly string[] {
  const { rules, conditions, policies } = coverage;
  const gaps = policies.flatMap(({ policy, unmatchedRules, gaps: missing }) => [
    ...unmatchedRules.map((rule) => `  ${policy}: rule ${rule} never matched`),
    ...missing.map((gap) => `  ${policy}: ${gap}`),
  ]);
  return [
    `coverage: ${rules.covered} of ${rules.all} rules (${percent(rules)} %), ${conditions.covered} of ${conditions.all} outcomes of conditions (${percent(conditions)} %)`,
    ...gaps.slice(0, MOST_GAPS),
    ...(gaps.length > MOST_GAPS ? [`  and ${gaps.length - MOST_GAPS} more`] : []),
  ];
}

const MOST_GAPS = 30;

function junitCase({ suite, name, at, passed, problems }: PlacedResult): string {
  const open = `    <testcase classname="${xml(suite)}" name="${xml(name)}"`;
  if (passed) return `${open}/>`;
  const text = xml(problems.join('\n'));
  return `${open}><failure message="${xml(problems[0] ?? '')}">${text}\n${xml(at)}</failure></testcase>`;
}

// XML 1.0, section 2.2: other control characters cannot be written at all, `printable` has removed them.
function xml(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
