import type { Command } from 'commander';
import { type Author, defaultDataDir, loadAuthor, openSession, type Session } from '#client';
import type { CliContext, OutputFormat } from './context.ts';
import { EXIT, ExitError } from './exit.ts';

/** The flags every command has. */
export type Globals = {
  readonly dataDir: string;
  readonly server: string | undefined;
  readonly namespace: string;
  /** True when `--namespace` was written. */
  readonly namespaceGiven: boolean;
  readonly output: OutputFormat;
  readonly yes: boolean;
  readonly verbose: boolean;
};

/** Reads the global flags of `command`'s invocation. */
export function globalsOf(command: Command, context: CliContext): Globals {
  const options = command.optsWithGlobals() as Record<string, unknown>;
  const output = (options['output'] ?? 'text') as OutputFormat;
  if (!['text', 'json', 'yaml'].includes(output)) {
    throw new ExitError(
      EXIT.usage,
      `\`${output}\` is not an output format`,
      'use text, json or yaml',
    );
  }
  const server = (options['server'] as string | undefined) ?? context.env['PALISADE_SERVER'];
  if (server !== undefined && URL.parse(server)?.protocol !== 'https:') {
    throw new ExitError(
      EXIT.usage,
      `\`${server}\` is no address of a control plane`,
      'write https://HOST:PORT, as in https://127.0.0.1:7700',
    );
  }
  return {
    dataDir: (options['data'] as string | undefined) ?? defaultDataDir(context.env),
    server,
    namespace: (options['namespace'] as string | undefined) ?? 'default',
    namespaceGiven: options['namespace'] !== undefined,
    output,
    yes: options['yes'] === true,
    verbose: options['verbose'] === true,
  };
}

/** Opens the mesh the flags name, or ends the command saying how to get one. */
export function sessionOf(globals: Globals): Session {
  const session = openSession({ dataDir: globals.dataDir, server: globals.server });
  if (session.ok) return session.value;
  throw new ExitError(
    EXIT.unreachable,
    session.error,
    'start one with `palisade up`, or name its data folder with --data or PALISADE_DATA',
  );
}

/** The author whose key signs, or the end of the command. */
export function authorOf(session: Session): Author {
  const author = loadAuthor(session.folder);
  if (author.ok) return author.value;
  throw new ExitError(
    EXIT.notPermitted,
    author.error,
    'changes of policy need a key that the trust root names',
  );
}
