import { chmodSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { layoutOf, openSession } from '#client';
import type { CommandModule } from '../commands.ts';
import { EXIT, ExitError } from '../exit.ts';
import { globalsOf } from '../globals.ts';
import { printResult } from '../output.ts';
import { packed, secretsOf, supportFiles } from '../support-files.ts';
import { tarOf } from '../tar.ts';

/** `palisade support-bundle` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('support-bundle')
    .description('what helps others to understand a problem here, without secrets, as one file')
    .option('--out <file>', 'where to (default: palisade-support-TIME.tar.gz here)')
    .addHelpText('after', '\nExample:\n  $ palisade support-bundle --out bug.tar.gz\n')
    .action(async ({ out }: { readonly out?: string }, command) => {
      const globals = globalsOf(command, context);
      const session = openSession({ dataDir: globals.dataDir, server: globals.server });
      const files = await supportFiles(globals.dataDir, session.ok ? session.value : undefined);
      const nowMs = Date.now();
      const archived = packed(files, secretsOf(layoutOf(globals.dataDir)), nowMs);
      const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\..*/g, '');
      const path = out ?? `palisade-support-${stamp}.tar.gz`;
      write(path, gzipSync(tarOf(archived)));
      const holds = archived.map(({ name, content }) => ({ name, bytes: content.length }));
      printResult(context, globals.output, { file: path, holds }, () =>
        [
          `\`${path}\` holds, with what looks like a secret replaced:`,
          ...files.map(({ name, about }) => `  ${name}: ${about}`),
          'look into it before you give it away: tar -xzOf FILE NAME',
        ].join('\n'),
      );
    });
};

function write(path: string, content: Buffer): void {
  try {
    writeFileSync(path, content, { mode: 0o600 });
    // A file that was there keeps its mode unless told.
    chmodSync(path, 0o600);
  } catch (error) {
    const { message } = error as Error;
    throw new ExitError(
      EXIT.usage,
      `cannot write \`${path}\`: ${message}`,
      'name another with --out',
    );
  }
}
