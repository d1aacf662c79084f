import type { Command } from 'commander';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT } from '../../exit.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { age, printable, printResult, table } from '../../output.ts';

type Doing = {
  readonly state: string;
  readonly lag_records: number;
  readonly lag_seconds: number;
  readonly delivered: number;
  readonly dead_lettered: number;
  readonly dropped: number;
  readonly last_error: string | null;
  readonly last_delivered_at: string | null;
};

type SinkStatus = Doing & {
  readonly name: string;
  readonly kind: string;
  readonly format: string;
  readonly lanes: readonly (Doing & { readonly evidence: string })[];
};

type TestResult = {
  readonly evidence: string;
  readonly id: string;
  readonly delivered: boolean;
  readonly answer: string;
};

/** `palisade sink list` and `sink test` */
export const register: CommandModule['register'] = (program, context, finish) => {
  const sink = program
    .command('sink')
    .description('receivers of evidence: how they do, and a test')
    .addHelpText('after', '\nExample:\n  $ palisade sink test siem\n');
  registerList(sink, context, finish);
  registerTest(sink, context, finish);
};

function registerList(sink: Command, context: CliContext, finish: (status: number) => void): void {
  sink
    .command('list')
    .description('every sink and what waits for it; 1 if one does not take what it is sent')
    .addHelpText('after', '\nExample:\n  $ palisade sink list\n')
    .action(async (_options, command: Command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const { items } = await api.call<{ items: readonly SinkStatus[] }>('GET', '/sinks');
      printResult(context, globals.output, items, () => listText(items, Date.now()));
      finish(
        items.some(({ state }) => ['retrying', 'failing'].includes(state)) ? EXIT.no : EXIT.done,
      );
    });
}

function registerTest(sink: Command, context: CliContext, finish: (status: number) => void): void {
  sink
    .command('test <name>')
    .description('sends one item of each kind that the sink gets and prints what it answered')
    .addHelpText('after', '\nExample:\n  $ palisade sink test siem\n')
    .action(async (name: string, _options, command: Command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const path = `/sinks/${encodeURIComponent(name)}/test`;
      const { items } = await api.call<{ items: readonly TestResult[] }>('POST', path);
      printResult(context, globals.output, items, () => testText(items));
      finish(items.every(({ delivered }) => delivered) ? EXIT.done : EXIT.no);
    });
}

function listText(items: readonly SinkStatus[], nowMs: number): string {
  if (items.length === 0) return 'no sinks: apply a resource of kind Sink in palisade-system';
  const rows = items.map((sink) => [
    sink.name,
    `${sink.kind} ${sink.format}`,
    sink.state,
    String(sink.lag_records),
    age(sink.last_delivered_at, nowMs),
    String(sink.delivered),
    String(sink.dead_lettered),
    String(sink.dropped),
    printable(sink.last_error ?? ''),
  ]);
  const head = ['NAME', 'KIND', 'STATE', 'WAITING', 'LAST', 'DELIVERED', 'DEAD', 'LOST', 'ERROR'];
  return table([head, ...rows]);
}

function testText(items: readonly TestResult[]): string {
  const rows = items.map(({ evidence, id, delivered, answer }) => [
    evidence,
    delivered ? 'delivered' : 'not delivered',
    id,
    printable(answer),
  ]);
  return table([['EVIDENCE', 'RESULT', 'ID', 'ANSWER'], ...rows]);
}
