import type { CommandModule } from '../commands.ts';
import { globalsOf } from '../globals.ts';

/** `palisade agent` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('agent')
    .description(
      'the agent of this host: attests processes, serves the SPIFFE Workload API, relays configuration',
    )
    .option('--host-name <name>', 'name of this host in its SPIFFE ID (default: the host name)')
    .option('--allow-other-users', 'let processes of other users connect to the socket')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade agent --data /var/lib/palisade --allow-other-users\n',
    )
    .action(async (options, command) => {
      const { dataDir, output, verbose } = globalsOf(command, context);
      finish(
        await context.processes.agent({
          dataDir,
          output,
          verbose,
          hostName: options.hostName,
          allowOtherUsers: options.allowOtherUsers === true,
        }),
      );
    });
};
