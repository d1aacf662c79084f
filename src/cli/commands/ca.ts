import type { CommandModule } from '../commands.ts';
import { parsePort } from '../flags.ts';
import { globalsOf } from '../globals.ts';

/** `palisade ca` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('ca')
    .description('the certificate authority, as a process of its own')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--port <port>',
      'port to listen on (default: what the data folder names, else 7702)',
      parsePort,
    )
    .addHelpText('after', '\nExample:\n  $ palisade ca --data /var/lib/palisade\n')
    .action(async (options, command) => {
      const { dataDir, output, verbose } = globalsOf(command, context);
      finish(
        await context.processes.ca({
          dataDir,
          output,
          verbose,
          host: options.host,
          port: options.port,
        }),
      );
    });
};
