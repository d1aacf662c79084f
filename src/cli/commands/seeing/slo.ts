import { fetchAll, type SloEntry } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { painter, printResult, table } from '../../output.ts';

const COLORS = { ok: 'green', burning: 'red', exhausted: 'yellow', no_data: 'dim' } as const;

/** `palisade slo list` */
export const register: CommandModule['register'] = (program, context) => {
  const slo = program
    .command('slo')
    .description('service level objectives and what is left of their error budgets')
    .addHelpText('after', '\nExample:\n  $ palisade slo list\n');
  slo
    .command('list')
    .description(
      'each objective, how much of its budget is left, and how fast it goes (1 is just in time)',
    )
    .addHelpText('after', '\nExample:\n  $ palisade slo list\n')
    .action(async (_options, command) => {
      const globals = globalsOf(command, context);
      const found = await fetchAll<SloEntry>(sessionOf(globals).api, '/slos');
      const paint = painter(context);
      printResult(context, globals.output, found, () =>
        table([
          ['OBJECTIVE', 'OF', 'GOAL', 'WINDOW', 'BUDGET LEFT', 'BURN 1H', 'BURN 6H', 'STATE'],
          ...found.map((one) => [
            one.name,
            scopeOf(one),
            one.threshold === null ? one.objective : `${one.objective} (${one.threshold})`,
            one.window,
            one.state === 'no_data' ? '' : `${(one.budget_left_ratio * 100).toFixed(1)}%`,
            one.burn_1h.toFixed(1),
            one.burn_6h.toFixed(1),
            paint(COLORS[one.state], one.state.replace('_', ' ')),
          ]),
        ]),
      );
    });
};

function scopeOf({ namespace, service }: SloEntry): string {
  if (namespace === null) return 'mesh';
  return service === null ? namespace : `${namespace}/${service}`;
}
