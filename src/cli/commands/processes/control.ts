import type { CommandModule } from '../../command-module.ts';
import { parseAuditRetention, parsePort } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';

/** `palisade control` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('control')
    .description('the control plane: API, store, distribution and console, as a process of its own')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--port <port>',
      'port to listen on (default: what the data folder names, else 7700)',
      parsePort,
    )
    .option(
      '--audit-retention <duration>',
      'how long audit records are kept, such as 90d (default: 400d); legal holds outlast it',
      parseAuditRetention,
    )
    .addHelpText('after', '\nExample:\n  $ palisade control --data /var/lib/palisade\n')
    .action(async (options, command) => {
      const { dataDir, output, verbose } = globalsOf(command, context);
      finish(
        await context.processes.control({
          dataDir,
          output,
          verbose,
          host: options.host,
          port: options.port,
          auditRetentionMs: options.auditRetention,
        }),
      );
    });
};
