import type { CommandModule } from '../../command-module.ts';
import { globalsOf } from '../../globals.ts';
import { printResult } from '../../output.ts';
import { VERSION } from '../../version.ts';

/** `palisade version` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('version')
    .description('print the versions of Palisade and of what it runs on')
    .addHelpText('after', '\nExamples:\n  $ palisade version\n  $ palisade version -o json\n')
    .action((_options, command) => {
      const { node, openssl } = process.versions;
      const value = { palisade: VERSION, node, openssl };
      printResult(
        context,
        globalsOf(command, context).output,
        value,
        () => `palisade ${VERSION} (Node.js ${node}, OpenSSL ${openssl})`,
      );
    });
};
