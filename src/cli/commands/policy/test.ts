import { watch, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { measureCoverage, runPolicyTest } from '#compile';
import { type AuthoredFiles, readAuthored, refuseErrors } from '../../authored-files.ts';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { type Globals, globalsOf } from '../../globals.ts';
import { painter, printResult } from '../../output.ts';
import { sourceOf } from '../../policy-sources.ts';
import {
  jsonReport,
  junitReport,
  percent,
  type TestRun,
  tapReport,
  textReport,
} from './test-report.ts';

type Options = {
  readonly tap?: true;
  readonly junit?: string;
  readonly minCoverage?: number;
  readonly watch?: true;
};

/** `palisade test` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('test')
    .description(
      'holds policies against the cases written beside them (kind PolicyTest); exits with 1 when one fails',
    )
    .argument('<path...>', 'files or folders with both; - for standard input')
    .option('--tap', 'report as TAP 14')
    .option('--junit <file>', "write a report in JUnit's XML, - for standard output")
    .option('--min-coverage <percent>', 'fail below this share of rules matched', parsePercent)
    .option('--watch', 'run again whenever a file changes, until interrupted')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade test policies\n  $ palisade test policies --junit report.xml --min-coverage 80\n  $ palisade test --watch policies\n',
    )
    .action(async (paths: string[], options: Options, command: Command) => {
      const globals = globalsOf(command, context);
      if (options.watch === true) return watchAndRun(paths, options, { context, globals });
      finish(await runOnce(paths, options, { context, globals }));
    });
};

type Surroundings = { readonly context: CliContext; readonly globals: Globals };

async function runOnce(
  paths: readonly string[],
  options: Options,
  { context, globals }: Surroundings,
): Promise<number> {
  const authored = await readAuthored(paths, { context, namespace: globals.namespace });
  refuseErrors(authored, context);
  if (authored.tests.length === 0) {
    throw new ExitError(
      EXIT.usage,
      `no PolicyTest in ${paths.map((path) => `\`${path}\``).join(', ')}`,
      '`palisade init DIR` writes one to start from',
    );
  }
  const run = runTests(authored);
  if (options.junit !== undefined && options.junit !== '-') {
    writeFileSync(options.junit, `${junitReport(run)}\n`);
  }
  if (options.junit === '-') context.stdout.write(`${junitReport(run)}\n`);
  else if (options.tap === true) context.stdout.write(`${tapReport(run)}\n`);
  else
    printResult(context, globals.output, jsonReport(run), () => textReport(run, painter(context)));
  const covered = percent(run.coverage.rules);
  if (covered < (options.minCoverage ?? 0)) {
    context.stderr.write(
      `palisade: ${covered} % of the rules are covered, ${options.minCoverage} % are asked for\n`,
    );
    return EXIT.no;
  }
  return run.results.every((result) => result.passed) ? EXIT.done : EXIT.no;
}

function runTests(authored: AuthoredFiles): TestRun {
  const { sets, trustDomain } = sourceOf(authored);
  const nowMs = Date.now();
  const results = authored.tests.flatMap(({ test, position }) =>
    runPolicyTest(test, { sets, trustDomain, nowMs }).map((result) => {
      const { file, line } = position(['spec', 'cases', result.index, 'name']);
      return { ...result, at: `${file}:${line}` };
    }),
  );
  const explanations = results.flatMap(({ explanation }) => explanation ?? []);
  return { results, coverage: measureCoverage(sets, explanations) };
}

const SETTLE_MS = 100;

/** Runs until the process is interrupted; what cannot be read now may be whole after the next change. */
async function watchAndRun(
  paths: readonly string[],
  options: Options,
  surroundings: Surroundings,
): Promise<void> {
  const { context } = surroundings;
  if (paths.includes('-')) throw new ExitError(EXIT.usage, 'standard input cannot be watched');
  let changed = Promise.withResolvers<void>();
  for (const path of paths) watch(path, { recursive: true }, () => changed.resolve());
  for (;;) {
    try {
      await runOnce(paths, options, surroundings);
    } catch (error) {
      if (!(error instanceof ExitError)) throw error;
      context.stderr.write(`palisade: ${error.message}\n`);
    }
    context.stdout.write('\nwatching for changes, Ctrl-C ends\n\n');
    await changed.promise;
    // An editor writes in several steps: one run for all of them.
    await delay(SETTLE_MS);
    changed = Promise.withResolvers<void>();
  }
}

function parsePercent(text: string): number {
  const number = Number(text);
  if (!/^\d{1,3}$/.test(text) || number > 100) {
    throw new InvalidArgumentError('write a number from 0 to 100.');
  }
  return number;
}
