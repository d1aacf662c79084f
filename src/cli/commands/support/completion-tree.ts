import type { Command, Option } from 'commander';

/** What may be completed as a flag's value or an argument. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' }
  /** Names that the control plane is asked for when somebody presses Tab; see `completion-names.ts`. */
  | { readonly kind: 'names'; readonly of: string }
  /** Numbers, times, and names that nobody is asked for. */
  | { readonly kind: 'nothing' };

export type CompletedFlag = {
  /** `-f` and `--file`. */
  readonly names: readonly string[];
  readonly about: string;
  /** Undefined: the flag takes no value. */
  readonly value: Candidates | undefined;
};

/** One command as shells complete it; the root is `palisade` itself. */
export type CompletedCommand = {
  /** Names from the root on, e.g. `['audit', 'hold', 'add']`. */
  readonly path: readonly string[];
  readonly about: string;
  /** Its own; those of the root are every command's. */
  readonly flags: readonly CompletedFlag[];
  readonly children: readonly CompletedCommand[];
  readonly argument: Candidates;
};

/** What shells complete, read from the commands themselves; `kinds` are the words of arguments called `kind`. */
export function completionTree(program: Command, kinds: readonly string[]): CompletedCommand {
  const global = program.options.map((option) => flagOf(option));
  return describe(program, { path: [], inherited: [], global, kinds });
}

/** The command and all below it, parents first. */
export function flatten(command: CompletedCommand): readonly CompletedCommand[] {
  return [command, ...command.children.flatMap((child) => flatten(child))];
}

type Place = {
  readonly path: readonly string[];
  /** Flags of the commands between the root and this one. */
  readonly inherited: readonly CompletedFlag[];
  readonly global: readonly CompletedFlag[];
  readonly kinds: readonly string[];
};

function describe(command: Command, place: Place): CompletedCommand {
  const { path, global, kinds, inherited } = place;
  const shown = command.options.filter((option) => !option.hidden);
  const own = path.length === 0 ? [] : shown.map((option) => flagOf(option));
  const children = command.commands
    .filter((child) => child.name() !== 'help')
    .map((child) =>
      describe(child as Command, {
        ...place,
        path: [...path, child.name()],
        inherited: [...inherited, ...own],
      }),
    );
  const [argument, second] = command.registeredArguments;
  const flags = path.length === 0 ? [...global, HELP] : [...own, ...inherited];
  const about = command.description();
  if (argument?.name() === 'kind' && second !== undefined) {
    // What follows a kind is a name of that kind, so each kind is a place of its own.
    const below = kinds.map((kind) => {
      const named = { kind: 'names', of: `resources/${kind}` } as const;
      return { path: [...path, kind], about: '', flags, children: [], argument: named };
    });
    return { path, about, flags, children: below, argument: NOTHING };
  }
  const names = NAMES_OF_ARGUMENTS[path.join(' ')];
  if (names !== undefined) return { path, about, flags, children, argument: names };
  return {
    path,
    about,
    flags,
    children,
    argument:
      argument === undefined ? NOTHING : valueOf(argument.name(), argument.argChoices, kinds),
  };
}

function flagOf(option: Option): CompletedFlag {
  const value = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1];
  return {
    names: [option.long, option.short].filter((name) => name !== undefined && name !== null),
    about: option.description,
    value:
      value === undefined
        ? undefined
        : (NAMES_OF_FLAGS[option.long ?? ''] ?? valueOf(value, option.argChoices, [])),
  };
}

const SERVICES: Candidates = { kind: 'names', of: 'services' };
const IDENTITIES: Candidates = { kind: 'names', of: 'identities' };
const NAMES_OF_FLAGS: Readonly<Record<string, Candidates>> = {
  '--to': SERVICES,
  '--service': SERVICES,
  '--from': IDENTITIES,
  '--namespace': { kind: 'names', of: 'namespaces' },
};
const NAMES_OF_ARGUMENTS: Readonly<Record<string, Candidates>> = {
  'identity show': IDENTITIES,
  'identity revoke': IDENTITIES,
  'identity unrevoke': IDENTITIES,
  'sink test': { kind: 'names', of: 'sinks' },
  explain: { kind: 'names', of: 'denials' },
};

const HELP: CompletedFlag = {
  names: ['--help', '-h'],
  about: 'flags and examples',
  value: undefined,
};
const NOTHING: Candidates = { kind: 'nothing' };
const FILES = new Set(['path', 'file', 'dir', 'command']);

function valueOf(
  name: string,
  choices: readonly string[] | undefined,
  kinds: readonly string[],
): Candidates {
  if (choices !== undefined) return { kind: 'words', words: choices };
  if (name === 'format') return { kind: 'words', words: ['text', 'json', 'yaml'] };
  if (name === 'kind') return { kind: 'words', words: kinds };
  return FILES.has(name) ? { kind: 'files' } : NOTHING;
}
