// Test support: what Tab offers in real shells.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A shell that completes. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** A completion script, and where it is tried: `folder` is the shell's home and its working directory. */
export type Tried = { readonly folder: string; readonly script: string };

/** False where the shell is installed, or a sentence that says why its test is skipped. */
export function whyNoShell(shell: Shell): string | false {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0 ? false : `there is no ${shell}`;
}

/** What a Tab at the end of each line offers, by line. */
export const offeredBy: Readonly<
  Record<Shell, (lines: readonly string[], tried: Tried) => readonly (readonly string[])[]>
> = { bash: offeredByBash, zsh: offeredByZsh, fish: offeredByFish };

/** Puts a `palisade` in front of the path that only knows names: what it answers to `completion bash --names SORT`. */
export function fakePalisade(folder: string, names: ReadonlyMap<string, string>): void {
  const cases = [...names].map(([sort, words]) => `${sort}) printf '%s\\n' ${words} ;;`);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const text = `#!/bin/sh\ncase "$4" in\n${cases.join('\n')}\nesac\n`;
  writeFileSync(join(folder, 'bin', 'palisade'), text, { mode: 0o700 });
}

function execute(shell: Shell, args: readonly string[], tried: Tried, input = ''): string {
  const { folder } = tried;
  return execFileSync(shell, args, {
    cwd: folder,
    encoding: 'utf8',
    input,
    timeout: 30_000,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      XDG_CONFIG_HOME: folder,
    },
  });
}

function rows(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((row) => row !== '');
}

function offeredByBash(lines: readonly string[], tried: Tried): readonly (readonly string[])[] {
  const asked = lines.map((line) => {
    const words = line.split(' ').map((word) => `'${word}'`);
    return `try ${words.join(' ')}`;
  });
  const driver = `source '${tried.script}'
compopt() { :; }
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _palisade; printf '%s\\n' "\${COMPREPLY[@]}"; echo =; }
${asked.join('\n')}
`;
  return execute('bash', ['-c', driver], tried).split('=\n').slice(0, lines.length).map(rows);
}

function offeredByFish(lines: readonly string[], tried: Tried): readonly (readonly string[])[] {
  return lines.map((line) => {
    const ask = `source ${tried.script}; complete -C '${line}'`;
    const answer = execute('fish', ['--no-config', '-c', ask], tried);
    // A file with a blank comes escaped; after a tab comes what the word means.
    return rows(answer).map((row) => row.split('\t')[0]?.replaceAll('\\', '') ?? '');
  });
}

// zsh completes in its line editor only, and that wants a terminal: a zsh in a pseudo terminal of another zsh. What would be
// shown is printed between two marks instead, by a compadd that tells what it is given. The hooks are emptied at each use.
const INNER = String.raw`
PROMPT= RPROMPT=
stty -onlcr -echo
autoload -Uz compinit && compinit -D -u
source $SCRIPT
zstyle ':completion:*' menu no
unsetopt auto_list list_beep beep
bindkey '^I' complete-word
bindkey '^U' kill-whole-line
begin-mark() { compprefuncs=(begin-mark); print -rn -- $'\x01begin\x01' }
end-mark() { comppostfuncs=(end-mark); print -rn -- $'\x01end\x01' }
compprefuncs=(begin-mark)
comppostfuncs=(end-mark)
compadd() {
  if [[ $@[1,(i)(-|--)] != *-(O|A|D)\ * ]]; then
    local -a hits
    builtin compadd -A hits "$@"
    print -l -- $hits
  fi
  builtin compadd "$@"
}
print ready-to-ask
`;

const OUTER = String.raw`
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "SCRIPT=$1; source $2"
until [[ "$line" == *ready-to-ask* ]]; do zpty -r shell line; done
while IFS= read -r asked; do
  zpty -w -n shell "$asked"$'\t'
  zpty -r -m shell answer $'*\x01end\x01*'
  print -r -- "$answer"
  zpty -w -n shell $'\x15'
done
zpty -d shell
`;

function offeredByZsh(lines: readonly string[], tried: Tried): readonly (readonly string[])[] {
  const inner = join(tried.folder, 'inner.zsh');
  writeFileSync(inner, INNER);
  const args = ['-f', '-c', OUTER, 'zsh', tried.script, inner];
  const answer = execute('zsh', args, tried, `${lines.join('\n')}\n`);
  const blocks = answer.split('\u0001end\u0001').slice(0, lines.length);
  return blocks.map((block) => rows(block.split('\u0001begin\u0001').at(-1) ?? ''));
}
