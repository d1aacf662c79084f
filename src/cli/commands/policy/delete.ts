import { commitPlan, deletion } from '../../changes.ts';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { printResult } from '../../output.ts';
import { kindNamed } from './get.ts';

/** `palisade delete` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('delete')
    .description('sign the removal of one resource and hand it in')
    .argument('<kind>', 'its kind')
    .argument('<name>', 'its name')
    .addHelpText('after', '\nExample:\n  $ palisade delete authorizationpolicy orders -n default\n')
    .action(async (kindText: string, name: string, _options, command) => {
      const globals = globalsOf(command, context);
      const { namespace } = globals;
      const key = `${kindNamed(kindText)}/${name}`;
      const commit = await commitPlan(sessionOf(globals), namespace, (live) => {
        if (live.set?.resources.has(key)) return [deletion(namespace, key, live)];
        throw new ExitError(
          EXIT.no,
          `there is no \`${key}\` in namespace \`${namespace}\``,
          'see `palisade get all -A`',
        );
      });
      printResult(context, globals.output, { namespace, key, action: 'deleted', commit }, () =>
        [
          `${namespace}/${key} deleted`,
          `${namespace} is now at version ${commit?.number ?? '?'}`,
        ].join('\n'),
      );
    });
};
