import { stringify } from 'yaml';
import { readAuthored, refuseErrors } from '../authored-files.ts';
import { liveSet, namespacesOf, type PlannedChange, planChanges } from '../changes.ts';
import type { CommandModule } from '../commands.ts';
import { EXIT } from '../exit.ts';
import { collectWord } from '../flags.ts';
import { globalsOf, sessionOf } from '../globals.ts';
import { lineDiff } from '../line-diff.ts';
import { painter, printResult } from '../output.ts';

/** `palisade diff` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('diff')
    .description('how files differ from what is live; exits with 1 when they do')
    .requiredOption(
      '-f, --file <path>',
      'file or folder, - for standard input (repeatable)',
      collectWord,
    )
    .option('--prune', 'also what apply --prune would delete')
    .addHelpText('after', '\nExample:\n  $ palisade diff -f policies\n')
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const session = sessionOf(globals);
      const authored = await readAuthored(options.file, { context, namespace: globals.namespace });
      refuseErrors(authored, context);
      const changes: PlannedChange[] = [];
      for (const namespace of namespacesOf(authored.resources)) {
        const live = await liveSet(session, namespace);
        changes.push(
          ...planChanges(namespace, authored.resources, live, { prune: options.prune === true }),
        );
      }
      const differing = changes.filter((change) => change.action !== 'unchanged');
      const paint = painter(context);
      printResult(
        context,
        globals.output,
        differing.map(({ source: _source, ...change }) => change),
        () => differing.map((change) => textOf(change, paint)).join('\n'),
      );
      finish(differing.length === 0 ? EXIT.done : EXIT.no);
    });
};

function textOf(change: PlannedChange, paint: ReturnType<typeof painter>): string {
  const name = `${change.namespace}/${change.key}`;
  const lines = lineDiff(yamlOf(change.before), yamlOf(change.after)).map(({ sign, text }) => {
    if (sign === ' ') return `  ${text}`;
    return paint(sign === '+' ? 'green' : 'red', `${sign} ${text}`);
  });
  return [paint('bold', `${name} ${change.action}`), ...lines].join('\n');
}

function yamlOf(value: unknown): readonly string[] {
  return value === undefined ? [] : stringify(value).trimEnd().split('\n');
}
