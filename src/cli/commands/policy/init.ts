import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from '#client';
import { starterResources } from '#resource';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { globalsOf } from '../../globals.ts';
import { attempt } from '../../out-file.ts';
import { printResult } from '../../output.ts';
import { asTyped } from '../../spoken-name.ts';

/** `palisade init` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('init')
    .description('write a folder of starter resources with a CI example')
    .argument('<dir>', 'a folder that is empty or does not exist')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade init policies\n  $ palisade validate policies\n  $ palisade apply -f policies\n',
    )
    .action((dir: string, _options, command) => {
      const { output, yes } = globalsOf(command, context);
      const written = writeStarter(dir, yes);
      printResult(context, output, { written }, () =>
        [
          ...written.map((path) => `wrote ${path}`),
          '',
          asTyped(`next: palisade validate ${dir} && palisade apply -f ${dir}`, context.env),
        ].join('\n'),
      );
    });
};

function writeStarter(dir: string, overwrite: boolean): readonly string[] {
  return attempt(dir, 'name a new folder in one that you may write to', () => {
    refuseUsed(dir, overwrite);
    return starterResources().map((file) => {
      const path = join(dir, file.path);
      makeFolders(dirname(path));
      writeFileSync(path, file.text);
      return path;
    });
  });
}

function refuseUsed(dir: string, yes: boolean): void {
  if (yes || !existsSync(dir) || readdirSync(dir).length === 0) return;
  throw new ExitError(
    EXIT.usage,
    `\`${dir}\` is not empty, and nothing was written`,
    'name a new folder, or add --yes to write into this one',
  );
}
