import { Command, CommanderError, type Option } from 'commander';
import { ApiError, UnknownRouteError } from '#client';
import { formatDuration } from '#lib';
import type { CommandModule } from './command-module.ts';
import { commandLoaders } from './commands.ts';
import type { CliContext } from './context.ts';
import { EXIT, ExitError } from './exit.ts';
import { parseDurationFlag, parseName } from './flags.ts';
import { asTyped } from './spoken-name.ts';
import { VERSION } from './version.ts';
import { type Skew, unknownRouteSkew } from './version-skew.ts';

const GLOBAL_FLAGS_WITH_VALUE = new Set([
  '--data',
  '--server',
  '--namespace',
  '-n',
  '--output',
  '-o',
]);

/** Runs one command line (without the interpreter and script); resolves to the exit status and never throws. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const program = createProgram();
  let status = 0;
  // Only the command that was asked for is loaded: a sidecar should not pay for the others.
  const verb = verbOf(argv);
  const loader = verb === undefined ? undefined : commandLoaders[verb];
  if (verb !== undefined && loader === undefined && verb !== 'help') {
    return reportFailure(unknownVerb(verb), context);
  }
  const loaders = loader === undefined ? Object.values(commandLoaders) : [loader];
  const modules: CommandModule[] = await Promise.all(loaders.map((load) => load()));
  for (const module of modules) {
    module.register(program, context, (result) => {
      status = result;
    });
  }
  inheritSettings(program, context);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return status;
  } catch (error) {
    return reportFailure(error, context, verb);
  }
}

function createProgram(): Command {
  const program = new Command('palisade')
    .description('A security service mesh that does not have to trust its own control plane.')
    .version(VERSION, '-V, --version', 'print the version')
    .option('--data <dir>', 'data folder (env PALISADE_DATA; default: the XDG state folder)')
    .option(
      '--server <url>',
      'API of the control plane (env PALISADE_SERVER; default: what the data folder names)',
    )
    .option('-n, --namespace <ns>', 'namespace (default: default)', parseName)
    .option('-o, --output <format>', 'text, json or yaml')
    .option('--yes', 'ask nothing')
    .option('--verbose', 'say more')
    .addHelpText('after', TOP_HELP);
  return program;
}

const TOP_HELP = `
First steps:
  $ palisade up --demo                          a mesh with a demo shop, on this machine
  $ palisade up                                 an empty mesh; leave it running
  $ palisade run --service web -- python3 app.py
  $ palisade init policies && palisade apply -f policies
  $ palisade log --denied                       who was stopped
  $ palisade explain DENIAL_ID                  why, and what would allow it
`;

function inheritSettings(program: Command, context: CliContext): void {
  const output = {
    writeOut: (text: string) => void context.stdout.write(asTyped(text, context.env)),
    writeErr: (text: string) => void context.stderr.write(asTyped(text, context.env)),
    outputError: (text: string, write: (text: string) => void) => write(usageError(text)),
  };
  for (const command of [program, ...descendants(program)]) {
    command.exitOverride().configureOutput(output);
    command.configureHelp({ showGlobalOptions: true });
    for (const option of command.options) describeDefault(option);
  }
}

const USAGE_HELP = 'add --help to see the flags and examples';

// Commander's own words: the first line says what is wrong, a second one in brackets may suggest what was meant.
function usageError(text: string): string {
  const [first = '', second] = text
    .replace(/^error: (command-)?/, '')
    .trim()
    .split('\n');
  const meant = /^\(Did you mean (.+)\?\)$/.exec(second ?? '')?.[1];
  const help = meant === undefined ? USAGE_HELP : `did you mean ${meant}? Or ${USAGE_HELP}`;
  const what = first
    .replaceAll("'", '`')
    .replace(' is invalid. ', ' is invalid: ')
    .replace(/\.$/, '');
  return `palisade: ${what}\n  help: ${help}\n`;
}

// A default is shown as it would be typed.
function describeDefault(option: Option): void {
  const { defaultValue, parseArg } = option;
  if (parseArg === parseDurationFlag && typeof defaultValue === 'number')
    option.default(defaultValue, formatDuration(defaultValue));
  else if (typeof defaultValue === 'object' && defaultValue !== null && 'port' in defaultValue) {
    const { host, port } = defaultValue as { readonly host: string; readonly port: number };
    option.default(defaultValue, `${host}:${port}`);
  }
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child as Command, ...descendants(child as Command)]);
}

function verbOf(argv: readonly string[]): string | undefined {
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? '';
    if (GLOBAL_FLAGS_WITH_VALUE.has(word)) i += 1;
    else if (!word.startsWith('-')) return word;
  }
  return undefined;
}

function unknownVerb(verb: string): ExitError {
  const near = Object.keys(commandLoaders).find((name) => name.startsWith(verb.slice(0, 3)));
  const help =
    near === undefined
      ? 'see `palisade --help`'
      : `did you mean \`${near}\`? See \`palisade --help\``;
  return new ExitError(EXIT.usage, `\`${verb}\` is not a command`, help);
}

function reportFailure(error: unknown, context: CliContext, verb?: string): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof ExitError) {
    complain(error, context);
    return error.status;
  }
  // The question was not answered at all, least of all with no.
  if (error instanceof UnknownRouteError) {
    complain(unknownRouteSkew(error), context);
    return EXIT.unreachable;
  }
  if (error instanceof ApiError) return reportApiError(error, context, verb);
  const problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
  context.stderr.write(
    `palisade: an unexpected error, which is a defect of Palisade\n${problem}\n`,
  );
  return EXIT.no;
}

function complain(
  { message, help }: Pick<Skew, 'message'> & { readonly help: string | undefined },
  context: CliContext,
): void {
  context.stderr.write(`palisade: ${message}\n`);
  if (help !== undefined) context.stderr.write(`  help: ${asTyped(help, context.env)}\n`);
}

/** Where the names stand that a command takes; for one that the control plane does not know. */
const NAMES_OF: Readonly<Record<string, string>> = {
  explain: 'take an id from `palisade log --denied`',
  sink: 'see `palisade sink list`',
  alerts: 'see `palisade alerts list` and `palisade alerts silences`',
  audit: 'see `palisade audit hold list`',
};

function reportApiError(error: ApiError, context: CliContext, verb = ''): number {
  context.stderr.write(`palisade: ${error.message}\n`);
  const problems = (error.problem['problems'] ?? []) as Record<string, string>[];
  for (const problem of problems) {
    context.stderr.write(`  ${problem['key'] ?? ''}: ${problem['message'] ?? ''}\n`);
    if (problem['help']) context.stderr.write(`    help: ${problem['help']}\n`);
  }
  if (error.status === 0) {
    const help =
      'start it with `palisade up` (or `palisade control`), or name another with --server';
    context.stderr.write(`  help: ${asTyped(help, context.env)}\n`);
    return EXIT.unreachable;
  }
  // As of any question whether something is there: the answer is no.
  if (error.status === 404) {
    const help = NAMES_OF[verb];
    if (help !== undefined) context.stderr.write(`  help: ${asTyped(help, context.env)}\n`);
    return EXIT.no;
  }
  if (error.status === 401 || error.status === 403) return EXIT.notPermitted;
  if (error.status === 503 || error.status === 507) return EXIT.unreachable;
  return error.status >= 400 && error.status < 500 ? EXIT.usage : EXIT.no;
}
