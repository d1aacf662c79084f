import {
  type Candidates,
  type CompletedCommand,
  type CompletedFlag,
  flatten,
} from './completion-tree.ts';

// Each script holds the whole tree: only names of the mesh are asked for, of a control plane that answers at once. It walks the words of the line so far down the tree to
// the command they name; a flag that takes a value takes the next word along. After `--` comes somebody else's command line.

/** A script for bash 4 and later. */
export function bashScript(root: CompletedCommand): string {
  const commands = flatten(root);
  const reply = (candidates: Candidates) => {
    if (candidates.kind === 'files')
      return `compopt -o filenames; IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current"))`;
    if (candidates.kind === 'names')
      return `COMPREPLY=($(compgen -W "$(${asking(candidates.of)})" -- "$current"))`;
    const words = candidates.kind === 'words' ? candidates.words.join(' ') : '';
    return words === '' ? ':' : `COMPREPLY=($(compgen -W '${words}' -- "$current"))`;
  };
  const places = commands.map(
    (command) =>
      `    '${keyOf(command)}') flags='${namesOf(ownFlags(command)).join(' ')}'; words="${bashWords(command)}"; files=${filesOf(command)} ;;`,
  );
  return `# bash completion for palisade
_palisade() {
  local IFS=$' \\t\\n' current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local at='' i flags='' words='' files=0
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      *' --') compopt -o filenames; IFS=$'\\n'; COMPREPLY=($(compgen -c -- "$current") $(compgen -f -- "$current")); return ;;
${toThePlace(commands, reply, places)}
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$flags ${namesOf(root.flags).join(' ')}" -- "$current")); return; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if ((files)); then compopt -o filenames; IFS=$'\\n'; COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -F _palisade palisade
`;
}

/** A script for zsh: sourced after \`compinit\`, or as \`_palisade\` in a folder of \`fpath\`. */
export function zshScript(root: CompletedCommand): string {
  const commands = flatten(root);
  const reply = (candidates: Candidates) => {
    if (candidates.kind === 'files') return '_files';
    if (candidates.kind === 'names') return `compadd -- \${(f)"$(${asking(candidates.of)})"}`;
    return candidates.kind === 'words'
      ? `compadd -- ${candidates.words.join(' ')}`
      : "_message 'a value'";
  };
  const places = commands.map((command) => {
    const flags = describedFlags(ownFlags(command));
    const words = wordsWithAbout(command).map(({ word, about }) =>
      quoted(`${word}:${firstOf(about)}`),
    );
    return `    '${keyOf(command)}') flags=(${flags.join(' ')}); subs=(${words.join(' ')}); files=${filesOf(command)}${command.argument.kind === 'names' ? `; ${reply(command.argument)}` : ''} ;;`;
  });
  return `#compdef palisade
_palisade() {
  local at='' previous="\${words[CURRENT-1]}"
  local -a flags subs
  integer i files=0
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      *' --') words=("\${(@)words[i+1,-1]}"); CURRENT=$((CURRENT - i)); _normal; return ;;
${toThePlace(commands, reply, places)}
  if [[ "$PREFIX" == -* ]]; then flags+=(${describedFlags(root.flags).join(' ')}); _describe -o option flags; return; fi
  (( \${#subs} )) && _describe command subs
  (( files )) && _files
}
if [ "\${funcstack[1]}" = _palisade ]; then _palisade "$@"; else compdef _palisade palisade; fi
`;
}

/** A script for fish 3. */
export function fishScript(root: CompletedCommand): string {
  const commands = flatten(root);
  const steps = commands.flatMap((command) => [
    ...valuedNames(command).map(
      (name) => `      case '${whenAt(command, name)}'\n        set skip 1`,
    ),
    ...command.children.map(
      (child) =>
        `      case '${keyOf(command)} ${child.path.at(-1)}'\n        set at ${keyOf(child)}`,
    ),
  ]);
  const lines = commands.flatMap((command) => {
    const here = `complete -c palisade -n '__palisade_at "${keyOf(command)}"'`;
    const words = wordsWithAbout(command).map(
      ({ word, about }) => `${here} -a ${word} -d ${fishQuoted(firstOf(about))}`,
    );
    return [
      ...words,
      ...(filesOf(command) === 1 ? [`${here} -F`] : []),
      ...(command.argument.kind === 'names'
        ? [`${here} -a '(${asking(command.argument.of)})'`]
        : []),
      ...ownFlags(command).map((flag) => `${here} ${fishFlag(flag)}`),
    ];
  });
  return `# fish completion for palisade
function __palisade_at
  set -l at ''
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
      continue
    end
    if test "$word" = --
      set at --
      break
    end
    switch "$at $word"
${steps.join('\n')}
    end
  end
  test "$at" = "$argv[1]"
end
complete -c palisade -f
complete -c palisade -n '__palisade_at --' -F
${root.flags.map((flag) => `complete -c palisade ${fishFlag(flag)}`).join('\n')}
${lines.join('\n')}
`;
}

// Standard error would stand in the middle of the line.
function asking(names: string): string {
  return `palisade completion bash --names ${names} 2>/dev/null`;
}

function fishFlag({ names, about, value }: CompletedFlag): string {
  const spelled = names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  const takes =
    value === undefined
      ? []
      : value.kind === 'files'
        ? ['-r -F']
        : value.kind === 'words'
          ? [`-x -a '${value.words.join(' ')}'`]
          : value.kind === 'names'
            ? [`-x -a '(${asking(value.of)})'`]
            : ['-x'];
  return [...spelled, ...takes, `-d ${fishQuoted(firstOf(about))}`].join(' ');
}

// From inside the loop over the line's words to what the place they lead to takes: the same in bash and zsh.
function toThePlace(
  commands: readonly CompletedCommand[],
  reply: (candidates: Candidates) => string,
  places: readonly string[],
): string {
  const replies = values(commands).map(
    ({ when, candidates }) => `    ${when}) ${reply(candidates)}; return ;;`,
  );
  return `${walk(commands)}
    esac
  done
  case "$at $previous" in
${replies.join('\n')}
  esac
  case "$at" in
${places.join('\n')}
  esac`;
}

// The same patterns in bash and zsh: `AT WORD`, where AT is empty or like `/audit/hold`.
function walk(commands: readonly CompletedCommand[]): string {
  const valued = commands
    .filter((command) => valuedNames(command).length > 0)
    .map((command) => {
      const patterns = valuedNames(command).map((name) => bashPattern(command, name));
      return `      ${patterns.join('|')}) i=$((i + 1)) ;;`;
    });
  const down = commands.flatMap((command) =>
    command.children.map(
      (child) => `      '${keyOf(command)} ${child.path.at(-1)}') at='${keyOf(child)}' ;;`,
    ),
  );
  return [...valued, ...down].join('\n');
}

type ValuesWhen = { readonly when: string; readonly candidates: Candidates };

function values(commands: readonly CompletedCommand[]): readonly ValuesWhen[] {
  return commands.flatMap((command) =>
    command.flags.flatMap(({ names, value }) => {
      const when = names.map((name) => bashPattern(command, name)).join('|');
      return value === undefined ? [] : [{ when, candidates: value }];
    }),
  );
}

// A flag of the root is every command's, wherever it stands.
function whenAt(command: CompletedCommand, name: string): string {
  return command.path.length === 0 ? `* ${name}` : `${keyOf(command)} ${name}`;
}

function bashPattern(command: CompletedCommand, name: string): string {
  return command.path.length === 0 ? `*' ${name}'` : `'${whenAt(command, name)}'`;
}

function ownFlags(command: CompletedCommand): readonly CompletedFlag[] {
  return command.path.length === 0 ? [] : command.flags;
}

function describedFlags(flags: readonly CompletedFlag[]): readonly string[] {
  return flags.flatMap(({ names, about }) =>
    names.map((name) => quoted(`${name}:${firstOf(about)}`)),
  );
}

function keyOf({ path }: CompletedCommand): string {
  return path.map((word) => `/${word}`).join('');
}

function namesOf(flags: readonly CompletedFlag[]): readonly string[] {
  return flags.flatMap(({ names }) => names);
}

function valuedNames({ flags }: CompletedCommand): readonly string[] {
  return namesOf(flags.filter(({ value }) => value !== undefined));
}

function wordsWithAbout(
  command: CompletedCommand,
): readonly { readonly word: string; readonly about: string }[] {
  const { argument, children } = command;
  const below = children.map((child) => ({ word: child.path.at(-1) ?? '', about: child.about }));
  return argument.kind === 'words'
    ? [...below, ...argument.words.map((word) => ({ word, about: '' }))]
    : below;
}

function wordsOf(command: CompletedCommand): readonly string[] {
  return wordsWithAbout(command).map(({ word }) => word);
}

function bashWords(command: CompletedCommand): string {
  const { argument } = command;
  const names = argument.kind === 'names' ? [`$(${asking(argument.of)})`] : [];
  return [...wordsOf(command), ...names].join(' ');
}

function filesOf({ argument }: CompletedCommand): 0 | 1 {
  return argument.kind === 'files' ? 1 : 0;
}

// What comes before the first full stop, semicolon, colon or bracket says enough beside a flag.
function firstOf(about: string): string {
  return (/^[^;:.(]{3,}/.exec(about)?.[0] ?? about).trim();
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
