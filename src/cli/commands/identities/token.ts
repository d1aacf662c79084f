import { hostname } from 'node:os';
import { layoutOf, loadAuthor, readTrustRoot } from '#client';
import { parseDuration } from '#lib';
import { ROOT_NAMESPACE } from '#resource';
import { createJoinToken, MAX_JOIN_TOKEN_TTL_MS, openJoinToken } from '#trust';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { type Globals, globalsOf } from '../../globals.ts';
import { intoFile } from '../../out-file.ts';
import { printResult } from '../../output.ts';
import { type MadeToken, tellOrKeep } from './untold-tokens.ts';

/** `palisade token create` */
export const register: CommandModule['register'] = (program, context) => {
  const token = program
    .command('token')
    .description('join tokens: one host may join, once and soon')
    .addHelpText('after', '\nExample:\n  $ palisade token create --host node-7 --ttl 10m\n');
  token
    .command('create')
    .description(
      'sign a join token for one host; it needs no server, and the authority takes it once',
    )
    .option('--host <name>', 'name that the host gets in its SPIFFE ID', hostname())
    .option('--ttl <duration>', 'how long it may be used, at most 24h', '10m')
    .option('--out <file>', 'write it here, with mode 0600, instead of printing it')
    .addHelpText(
      'after',
      `
Examples:
  $ palisade token create --host node-7 --out node-7.token
  $ palisade agent --attest join_token --token-file node-7.token --host-name node-7
`,
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const { dataDir, output } = globals;
      const { host, ttl, out } = options;
      const make = async () => {
        const { id, ...created } = create(dataDir, host, ttl);
        await tell(context, globals, { id, host, expiresAt: created.expiresAt });
        return created;
      };
      if (out === undefined) {
        const created = await make();
        return printResult(context, output, created, () => created.token);
      }
      await intoFile(out, async (write) => write(`${(await make()).token}\n`));
      context.stdout.write(`wrote \`${out}\`: whoever has it can join once\n`);
    });
};

function create(dataDir: string, host: string, ttl: string) {
  const folder = layoutOf(dataDir);
  const trustRoot = readTrustRoot(folder);
  if (!trustRoot.ok) throw new ExitError(EXIT.usage, trustRoot.error, 'run `palisade up` first');
  const author = loadAuthor(folder);
  if (!author.ok)
    throw new ExitError(
      EXIT.usage,
      author.error,
      'join tokens are signed by an author of the mesh',
    );
  const duration = parseDuration(ttl);
  if (!duration.ok || duration.value <= 0 || duration.value > MAX_JOIN_TOKEN_TTL_MS) {
    throw new ExitError(
      EXIT.usage,
      `\`${ttl}\` is not a duration of up to a day`,
      'write for example `--ttl 10m`',
    );
  }
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(host)) {
    throw new ExitError(
      EXIT.usage,
      `\`${host}\` is not a host name`,
      'write letters, digits, `.`, `_` and `-`',
    );
  }
  const nowMs = Date.now();
  const { trustDomain } = trustRoot.value;
  const ttlMs = duration.value;
  const signers = [author.value.signer];
  const token = createJoinToken({ trustDomain, host, nowMs, ttlMs, signers });
  const opened = openJoinToken(token, ROOT_NAMESPACE, trustRoot.value, nowMs);
  // The authority would say the same later, to somebody far away.
  if (!opened.ok) throw new ExitError(EXIT.usage, opened.error.message);
  const { id, expires } = opened.value;
  return { host, expiresAt: expires, token, id };
}

/** That there is a token, never the token. It is good without this; then it only is in no list of what expires yet. */
async function tell(
  context: CliContext,
  { dataDir, server }: Globals,
  about: MadeToken,
): Promise<void> {
  const failed = await tellOrKeep(layoutOf(dataDir), { dataDir, server }, about);
  if (failed === undefined) return;
  context.stderr.write(
    `not in the list of what expires until \`palisade ca status\` tells: ${failed}\n`,
  );
}
