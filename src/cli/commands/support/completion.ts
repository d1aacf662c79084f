import { Argument, type Command, Option } from 'commander';
import { openSession } from '#client';
import { KINDS } from '#resource';
import type { CommandModule } from '../../command-module.ts';
import { commandLoaders } from '../../commands.ts';
import type { CliContext } from '../../context.ts';
import { globalsOf } from '../../globals.ts';
import { completedNames } from './completion-names.ts';
import { bashScript, fishScript, zshScript } from './completion-scripts.ts';
import { type CompletedCommand, completionTree } from './completion-tree.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** `palisade completion` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('completion')
    .description('a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      '\nExamples:\n  $ source <(palisade completion bash)     also for zsh, after compinit\n  $ palisade completion fish > ~/.config/fish/completions/palisade.fish\n',
    )
    // For the scripts, which ask while somebody types.
    .addOption(new Option('--names <sort>').hideHelp())
    .action(async (shell: keyof typeof SCRIPTS, { names }: { names?: string }, command) => {
      if (names !== undefined) {
        const session = openSession(globalsOf(command, context));
        const found = session.ok ? await completedNames(session.value.api, names) : [];
        context.stdout.write(found.map((name) => `${name}\n`).join(''));
        return;
      }
      context.stdout.write(SCRIPTS[shell](await treeOf(program, context)));
    });
};

// Only this command is loaded by now; its own place in the tree is made anew with the others'.
async function treeOf(loaded: Command, context: CliContext): Promise<CompletedCommand> {
  const modules = await Promise.all(Object.values(commandLoaders).map((load) => load()));
  const program = loaded.createCommand('palisade');
  for (const option of loaded.options) program.addOption(option);
  for (const module of modules) module.register(program, context, () => undefined);
  const kinds = [...KINDS.map((kind) => kind.toLowerCase()), 'all'];
  return completionTree(program, kinds);
}
