import { Argument } from 'commander';
import { type CommandModule, commandLoaders } from '../commands.ts';

/** `palisade completion` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('completion')
    .description('a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nExamples:\n  $ source <(palisade completion bash)\n  $ palisade completion fish > ~/.config/fish/completions/palisade.fish\n',
    )
    .action((shell: string) => {
      context.stdout.write(scriptFor(shell));
    });
};

const GLOBAL_FLAGS = [
  '--data',
  '--server',
  '--namespace',
  '--output',
  '--yes',
  '--verbose',
  '--help',
];
const KINDS = [
  'mesh',
  'services',
  'registrations',
  'authorizationpolicies',
  'peerauthentications',
  'all',
];

function scriptFor(shell: string): string {
  const verbs = Object.keys(commandLoaders).join(' ');
  const kinds = KINDS.join(' ');
  if (shell === 'fish') {
    return [
      `complete -c palisade -n __fish_use_subcommand -f -a '${verbs}'`,
      `complete -c palisade -n '__fish_seen_subcommand_from get delete' -f -a '${kinds}'`,
      ...GLOBAL_FLAGS.map((flag) => `complete -c palisade -l ${flag.slice(2)}`),
      '',
    ].join('\n');
  }
  const bash = `_palisade() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  case "$previous" in
    get|delete) COMPREPLY=($(compgen -W "${kinds}" -- "$current")); return ;;
    -f|--file|--data) COMPREPLY=($(compgen -f -- "$current")); return ;;
    -o|--output) COMPREPLY=($(compgen -W "text json yaml" -- "$current")); return ;;
    identity) COMPREPLY=($(compgen -W "list show" -- "$current")); return ;;
  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "${GLOBAL_FLAGS.join(' ')}" -- "$current"))
  elif [[ $COMP_CWORD -eq 1 ]]; then COMPREPLY=($(compgen -W "${verbs}" -- "$current"))
  else COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -F _palisade palisade
`;
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash}` : bash;
}
