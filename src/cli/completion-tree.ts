import type { Command, Option } from 'commander';

/** What may be completed as a flag's value or an argument. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' }
  /** Names that only the mesh knows, numbers, times. */
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
  const own = path.length === 0 ? [] : command.options.map((option) => flagOf(option));
  const children = command.commands
    .filter((child) => child.name() !== 'help')
    .map((child) =>
      describe(child as Command, {
        ...place,
        path: [...path, child.name()],
        inherited: [...inherited, ...own],
      }),
    );
  const argument = command.registeredArguments[0];
  return {
    path,
    about: command.description(),
    flags: path.length === 0 ? [...global, HELP] : [...own, ...inherited],
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
    value: value === undefined ? undefined : valueOf(value, option.argChoices, []),
  };
}

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
