import type { CommandModule } from '../../command-module.ts';
import { parseAuditRetention, parsePort } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';

/** `palisade up` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('up')
    .description('the whole mesh on this machine: CA, control plane, agent and console')
    .option(
      '--demo',
      'start a demo shop with traffic and an intruder, in a folder that goes when it ends',
    )
    .option('--strict', 'refuse `palisade run` of a service nobody registered')
    .option('--trust-domain <td>', 'trust domain of a new mesh (default: cluster.local)')
    .option(
      '--port <port>',
      'API port; gRPC, CA and console take the next three; 0 takes free ones',
      parsePort,
      7700,
    )
    .option(
      '--audit-retention <duration>',
      'how long audit records are kept, such as 90d (default: 400d); legal holds outlast it',
      parseAuditRetention,
    )
    .addHelpText(
      'after',
      `
Examples:
  $ palisade up --demo
  $ palisade up --trust-domain example.org --data ./mesh
  $ palisade up -o json            one JSON object when all is ready
`,
    )
    .action(async (options, command) => {
      const { dataDir, output, verbose } = globalsOf(command, context);
      finish(
        await context.processes.up({
          dataDir,
          dataDirGiven:
            command.optsWithGlobals().data !== undefined || Boolean(context.env['PALISADE_DATA']),
          output,
          verbose,
          demo: options.demo === true,
          strict: options.strict === true,
          trustDomain: options.trustDomain,
          port: options.port,
          auditRetentionMs: options.auditRetention,
        }),
      );
    });
};
