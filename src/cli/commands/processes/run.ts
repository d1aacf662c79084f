import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { collectUpstream, parseName, parsePort } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';

/** `palisade run` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('run')
    .description('start an application with its sidecar')
    .argument('[command...]', 'the application and its arguments, after --')
    .requiredOption('--service <name>', 'the service it is', parseName)
    .option(
      '--app-port <port>',
      'where the application listens (default: a free port, told to it as PORT)',
      parsePort,
    )
    .option(
      '--inbound-port <port>',
      'where its sidecar takes mutual TLS (default: a free port)',
      parsePort,
    )
    .option(
      '--upstream <service[:port]=localport>',
      'open a local port that is that service (repeatable)',
      collectUpstream,
    )
    .addHelpText(
      'after',
      `
The application gets PORT, HTTP_PROXY, NO_PROXY, SPIFFE_ENDPOINT_SOCKET, PALISADE_SERVICE and PALISADE_NAMESPACE.
It starts when its sidecar is ready; signals reach it; its exit status is the command's. What needs you is told on standard
error; its sidecar's log is DATA/proxies/NAMESPACE.NAME/sidecar.log (--verbose shows all of it).

Examples:
  $ palisade run --service orders -- python3 app.py
  $ palisade run --service db --app-port 6379 -- redis-server --port 6379
  $ palisade run --service web --upstream db:6379=16379 -- ./web
`,
    )
    .action(async (words: string[], options, command) => {
      const globals = globalsOf(command, context);
      if (words.length === 0) {
        throw new ExitError(
          EXIT.usage,
          'there is no application to run',
          'write it after --: palisade run --service NAME -- CMD',
        );
      }
      finish(
        await context.processes.run({
          dataDir: globals.dataDir,
          output: globals.output,
          verbose: globals.verbose,
          namespace: globals.namespace,
          server: globals.server,
          service: options.service,
          appPort: options.appPort,
          inboundPort: options.inboundPort,
          hbonePort: undefined,
          outboundPort: undefined,
          metricsPort: undefined,
          upstreams: options.upstream ?? [],
          command: words,
        }),
      );
    });
};
