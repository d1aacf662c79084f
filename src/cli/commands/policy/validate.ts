import { renderDiagnostics } from '#resource';
import { collectAccepted, readAuthored } from '../../authored-files.ts';
import type { CommandModule } from '../../command-module.ts';
import { EXIT } from '../../exit.ts';
import { globalsOf } from '../../globals.ts';
import { printResult, wantsColor } from '../../output.ts';

/** `palisade validate` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('validate')
    .description(
      'every problem of resource files at once, with file, line, column and help; needs no server',
    )
    .argument('<path...>', 'files or folders; - for standard input')
    .option('--accept <code>', 'take a dangerous finding as meant (repeatable)', collectAccepted)
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade validate policies\n  $ palisade validate -o json policies/web.yaml\n',
    )
    .action(async (paths: string[], options, command) => {
      const { namespace, output } = globalsOf(command, context);
      const authored = await readAuthored(paths, {
        context,
        namespace,
        accept: options.accept ?? [],
      });
      const errors = authored.diagnostics.filter(
        (diagnostic) => diagnostic.severity === 'error',
      ).length;
      const value = {
        valid: errors === 0,
        files: authored.files,
        resources: authored.resources.length,
        tests: authored.tests.length,
        diagnostics: authored.diagnostics,
      };
      printResult(context, output, value, () => {
        if (authored.diagnostics.length > 0)
          return renderDiagnostics(authored.diagnostics, {
            color: wantsColor(context, context.stdout),
          });
        const tests =
          authored.tests.length === 0 ? '' : ` and ${count(authored.tests.length, 'policy test')}`;
        return `${count(authored.resources.length, 'resource')}${tests} in ${count(authored.files, 'file')}: no problem found`;
      });
      finish(errors === 0 ? EXIT.done : EXIT.usage);
    });
};

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
