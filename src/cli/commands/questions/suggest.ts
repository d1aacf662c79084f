import { suggestPolicy } from '#compile';
import type { CommandModule } from '../../command-module.ts';
import { EXIT } from '../../exit.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { fetchObserved } from '../../observed.ts';
import { printResult } from '../../output.ts';

/** `palisade suggest` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('suggest')
    .description('the least policy that allows what a service was seen to serve, with the evidence')
    .requiredOption('--service <service>', 'service: orders or shop/orders')
    .option('--since <duration>', 'of the calls since then (5m, 1d, an ISO time)', '1d')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade suggest --service orders --since 1d > policies/orders.yaml\n',
    )
    .action(async (options: { service: string; since: string }, command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const [first = '', second] = options.service.split('/');
      const [namespace, service] =
        second === undefined ? [globals.namespace, first] : [first, second];
      const { since } = options;
      const query = new URLSearchParams({ to: `${namespace}/${service}`, since });
      const { calls, truncated } = await fetchObserved(api, query);
      const suggestion = suggestPolicy(calls, { namespace, service, since });
      const leftOut = [
        ...suggestion.leftOut,
        ...(truncated ? ['the oldest calls, of which there were too many to read'] : []),
      ];
      printResult(
        context,
        globals.output,
        { ...suggestion, yaml: suggestion.yaml ?? null, leftOut },
        () =>
          suggestion.yaml ??
          `# no call to ${namespace}/${service} was seen to be allowed since ${since}`,
      );
      for (const sentence of leftOut)
        context.stderr.write(`palisade: not allowed by it: ${sentence}\n`);
      finish(suggestion.yaml === undefined ? EXIT.no : EXIT.done);
    });
};
