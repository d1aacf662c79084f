import type { CommandModule } from '../../command-module.ts';
import { collectUpstream, parseName, parsePort } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';

/** `palisade proxy` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('proxy')
    .description('the sidecar of one workload (`palisade run` starts it for you)')
    .requiredOption('--service <name>', 'the service it stands in front of', parseName)
    .option('--app-port <port>', 'where the application listens on 127.0.0.1', parsePort)
    .option('--inbound-port <port>', 'plain mutual TLS from peers without HBONE', parsePort, 15_006)
    .option('--hbone-port <port>', 'HBONE tunnels from other sidecars', parsePort, 15_008)
    .option('--outbound-port <port>', 'HTTP proxy for the application', parsePort, 15_001)
    .option('--metrics-port <port>', 'metrics and health', parsePort, 15_020)
    .option(
      '--upstream <service[:port]=localport>',
      'open a local port that is that service (repeatable)',
      collectUpstream,
    )
    .addHelpText('after', '\nExample:\n  $ palisade proxy --service orders --app-port 8080\n')
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      finish(
        await context.processes.proxy({
          dataDir: globals.dataDir,
          output: globals.output,
          verbose: globals.verbose,
          namespace: globals.namespace,
          service: options.service,
          appPort: options.appPort,
          inboundPort: options.inboundPort,
          hbonePort: options.hbonePort,
          outboundPort: options.outboundPort,
          metricsPort: options.metricsPort,
          upstreams: options.upstream ?? [],
        }),
      );
    });
};
