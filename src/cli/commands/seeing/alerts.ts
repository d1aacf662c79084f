import type { Command } from 'commander';
import { type AlertEvent, DEFAULT_SLOS, prometheusRules, type Slo } from '#alert';
import { parseDuration } from '#lib';
import { fetchAll, type SilenceEntry, type SloEntry } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { collectPair } from '../../flags.ts';
import { type Globals, globalsOf, sessionOf } from '../../globals.ts';
import { age, painter, printable, printResult, table } from '../../output.ts';

/** `palisade alerts list|silence|silences|unsilence|export` */
export const register: CommandModule['register'] = (program, context) => {
  const alerts = program
    .command('alerts')
    .description('what needs a person: list it, or take it on for a while')
    .addHelpText('after', '\nExample:\n  $ palisade alerts list\n');
  alerts
    .command('list')
    .description('alerts that fire, pages first, each with its cause and a command that is safe')
    .option('--state <state>', 'firing, pending, resolved or all', 'firing')
    .option('--severity <severity>', 'page or ticket')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade alerts list\n  $ palisade alerts list --state all\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const query = new URLSearchParams({ state: options.state });
      if (options.severity !== undefined) query.set('severity', options.severity);
      const { api } = sessionOf(globals);
      const found = await fetchAll<AlertEvent>(api, `/alerts?${query}`);
      printResult(context, globals.output, found, () =>
        found.length === 0 ? noneText(options) : textOf(found, context),
      );
    });
  alerts
    .command('silence')
    .description('calls nobody for these alerts until it ends; you answer for them meanwhile')
    .argument('[alert]', 'id or name of an alert, as `palisade alerts list` shows it')
    .requiredOption('--for <duration>', 'how long, e.g. 2h; 30d at most')
    .requiredOption('--reason <text>', 'why')
    .option('--label <name=value>', 'only alerts with this label', collectPair)
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade alerts silence denial-burst --label source=default/web --for 2h --reason "rolling back web"\n',
    )
    .action(async (alert: string | undefined, options, command) => {
      const globals = globalsOf(command, context);
      const body = {
        match: {
          ...matchOf(alert),
          ...(options.label === undefined ? {} : { labels: options.label }),
        },
        reason: options.reason,
        ends_at: options.for,
      };
      const made = await sessionOf(globals).api.call<SilenceEntry>('POST', '/silences', { body });
      printResult(context, globals.output, made, () => `silence ${made.id} until ${made.ends_at}`);
    });
  alerts
    .command('silences')
    .description('silences that have not ended, and who answers for each')
    .addHelpText('after', '\nExample:\n  $ palisade alerts silences\n')
    .action(async (_options, command) => {
      const globals = globalsOf(command, context);
      const found = await fetchAll<SilenceEntry>(sessionOf(globals).api, '/silences');
      printResult(context, globals.output, found, () => tableOf(found));
    });
  alerts
    .command('unsilence')
    .description('ends a silence before its time')
    .argument('<id>', 'as `palisade alerts silences` shows it')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade alerts unsilence 0b0ff6d2-3f0e-4b5a-9a55-0a5e6b8f3c11\n',
    )
    .action(async (id: string, _options, command) => {
      const globals = globalsOf(command, context);
      const path = `/silences/${encodeURIComponent(id)}`;
      const ended = await sessionOf(globals).api.call<SilenceEntry>('DELETE', path);
      printResult(context, globals.output, ended, () => `ended silence ${ended.id}`);
    });
  registerExport(alerts, context);
};

function registerExport(alerts: Command, context: CliContext): void {
  alerts
    .command('export')
    .description('the same alerts as rules for Prometheus, with the objectives in force')
    .option('--defaults', 'with the built-in objectives; asks no control plane')
    .addHelpText('after', '\nExample:\n  $ palisade alerts export > palisade-rules.yaml\n')
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const slos = options.defaults === true ? DEFAULT_SLOS : await slosInForce(globals);
      const rules = prometheusRules(slos);
      // Prometheus reads YAML, whatever the format of other commands.
      printResult(context, globals.output === 'json' ? 'json' : 'yaml', rules, () => '');
    });
}

async function slosInForce(globals: Globals): Promise<readonly Slo[]> {
  const found = await fetchAll<SloEntry>(sessionOf(globals).api, '/slos');
  return found.map((entry) => ({
    name: entry.name,
    sli: entry.sli,
    objective: Number.parseFloat(entry.objective) / 100,
    windowMs: millisecondsOf(entry.window) ?? 0,
    thresholdMs: millisecondsOf(entry.threshold),
    namespace: entry.namespace ?? undefined,
    service: entry.service ?? undefined,
    alert: entry.alert,
    builtIn: entry.built_in,
  }));
}

function millisecondsOf(text: string | null): number | undefined {
  const parsed = text === null ? undefined : parseDuration(text);
  return parsed?.ok === true ? parsed.value : undefined;
}

// An id is a name with labels after it, or a name alone where the alert has none.
function matchOf(alert: string | undefined): { readonly id?: string; readonly name?: string } {
  if (alert === undefined) return {};
  if (alert.includes(';')) return { id: alert };
  if (/^[a-z][a-z-]*$/.test(alert)) return { name: alert };
  throw new ExitError(
    EXIT.usage,
    `\`${printable(alert)}\` is neither the id nor the name of an alert`,
    'see `palisade alerts list`',
  );
}

function noneText({ state, severity }: { readonly state: string; readonly severity?: string }) {
  if (state === 'firing' && severity === undefined) return 'nothing needs a person';
  const what = severity === undefined ? 'no alert' : `no ${printable(severity)}`;
  return state === 'all' ? `${what} is known` : `${what} is ${printable(state)}`;
}

function textOf(alerts: readonly AlertEvent[], context: CliContext): string {
  const paint = painter(context);
  const now = Date.now();
  return alerts
    .map((alert) => {
      const color = alert.severity === 'page' ? 'red' : 'yellow';
      const life = alert.state === 'resolved' ? 'resolved, began' : alert.state;
      const quiet = [
        alert.silenced_by === null ? '' : `silenced by ${alert.silenced_by}`,
        alert.inhibited_by === null ? '' : `explained by ${alert.inhibited_by}`,
      ].filter((text) => text !== '');
      const lines = [
        ['cause', alert.likely_cause],
        ...alert.evidence.map(({ text }) => ['evidence', text]),
        ['runbook', alert.runbook],
        ['run', alert.command],
        ['id', alert.id],
        ...quiet.map((text) => ['quiet', text]),
      ].map(([name = '', text = '']) => `  ${paint('dim', name.padEnd(8))} ${printable(text)}`);
      const head = `${paint(color, alert.severity.padEnd(6))} ${printable(alert.summary)}`;
      return [`${head} (${life} ${age(alert.starts_at, now)})`, ...lines].join('\n');
    })
    .join('\n\n');
}

function tableOf(silences: readonly SilenceEntry[]): string {
  if (silences.length === 0) return 'no alert is silenced';
  const now = Date.now();
  const rows = silences.map(({ id, match, owner, reason, ends_at }) => [
    id,
    printable(
      [match.id, match.name, ...Object.entries(match.labels ?? {}).map((pair) => pair.join('='))]
        .filter((part) => part !== undefined)
        .join(' '),
    ),
    printable(owner),
    age(ends_at, now),
    printable(reason),
  ]);
  return table([['ID', 'ALERTS', 'OWNER', 'ENDS IN', 'REASON'], ...rows]);
}
