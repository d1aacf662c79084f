import { gzipSync } from 'node:zlib';
import { layoutOf, openSession } from '#client';
import type { CommandModule } from '../../command-module.ts';
import { type Globals, globalsOf } from '../../globals.ts';
import { intoFile } from '../../out-file.ts';
import { printResult } from '../../output.ts';
import { packed, secretsOf, supportFiles } from './support-files.ts';
import { tarOf } from './tar.ts';

/** `palisade support-bundle` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('support-bundle')
    .description('what helps others to understand a problem here, without secrets, as one file')
    .option('--out <file>', 'where to (default: palisade-support-TIME.tar.gz here)')
    .addHelpText('after', '\nExample:\n  $ palisade support-bundle --out bug.tar.gz\n')
    .action(async ({ out }: { readonly out?: string }, command) => {
      const globals = globalsOf(command, context);
      const nowMs = Date.now();
      const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\..*/g, '');
      const path = out ?? `palisade-support-${stamp}.tar.gz`;
      const { files, archived } = await intoFile(path, async (write) => {
        const collected = await collect(globals, nowMs);
        write(gzipSync(tarOf(collected.archived)));
        return collected;
      });
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

async function collect({ dataDir, server }: Globals, nowMs: number) {
  const session = openSession({ dataDir, server });
  const files = await supportFiles(dataDir, session.ok ? session.value : undefined);
  return { files, archived: packed(files, secretsOf(layoutOf(dataDir)), nowMs) };
}
