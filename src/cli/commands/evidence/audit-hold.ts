import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { printable, printResult, table } from '../../output.ts';

type Hold = {
  readonly name: string;
  readonly reason: string;
  readonly by: string;
  readonly since: string;
  readonly until: string | null;
};

/** `palisade audit hold add`, `list` and `release` */
export function addHold(audit: Command, context: CliContext): void {
  const hold = audit
    .command('hold')
    .description('records that do not expire, whatever their age')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade audit hold add case-7 --reason "counsel asked" --since 720h\n',
    );
  addAdd(hold, context);
  hold
    .command('list')
    .description('the holds there are')
    .action(async (_flags: unknown, command: Command) => {
      const globals = globalsOf(command, context);
      const { items } = await sessionOf(globals).api.call<{ readonly items: readonly Hold[] }>(
        'GET',
        '/audit/holds',
      );
      printResult(context, globals.output, items, () =>
        items.length === 0
          ? 'no holds'
          : table([
              ['NAME', 'SINCE', 'UNTIL', 'BY', 'REASON'],
              ...items.map((each) => [
                each.name,
                each.since,
                each.until ?? 'its release',
                printable(each.by),
                printable(each.reason),
              ]),
            ]),
      );
    });
  hold
    .command('release <name>')
    .description('lets the records of a hold expire again')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const globals = globalsOf(command, context);
      const path = `/audit/holds/${encodeURIComponent(name)}`;
      const released = await sessionOf(globals).api.call<Hold>('DELETE', path);
      printResult(context, globals.output, released, () => `released \`${released.name}\``);
    });
}

type AddFlags = { readonly reason: string; readonly since?: string; readonly until?: string };

function addAdd(hold: Command, context: CliContext): void {
  hold
    .command('add <name>')
    .description('keeps records of a time until the hold is released')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--since <time>', 'records from here on: 720h, or an instant (default: all)')
    .option('--until <time>', 'records up to here (default: whatever comes)')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade audit hold add case-7 --reason "counsel asked" --since 720h\n',
    )
    .action(async (name: string, flags: AddFlags, command: Command) => {
      const globals = globalsOf(command, context);
      const body = { name, ...flags };
      const made = await sessionOf(globals).api.call<Hold>('POST', '/audit/holds', { body });
      printResult(
        context,
        globals.output,
        made,
        () =>
          `\`${made.name}\` holds records since ${made.since} until ${made.until ?? 'it is released'}`,
      );
    });
}
