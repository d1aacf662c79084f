import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { openSession, type Session } from '#client';
import { type EnforcementPoint, fetchAll } from '../api-types.ts';
import { caStatus } from '../ca-status.ts';
import type { CommandModule } from '../commands.ts';
import { EXIT } from '../exit.ts';
import { type Globals, globalsOf } from '../globals.ts';
import { painter, printResult } from '../output.ts';

/** One thing looked at, what was found, and how to mend it. */
type Finding = {
  readonly name: string;
  readonly good: boolean;
  readonly found: string;
  readonly help: string;
};

/** `palisade doctor` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('doctor')
    .description('what is wrong here and how to fix it; prints a new sign-in link for the console')
    .addHelpText('after', '\nExample:\n  $ palisade doctor\n')
    .action(async (_options, command) => {
      const globals = globalsOf(command, context);
      const { findings, link } = await examine(globals);
      const good = findings.every((finding) => finding.good);
      printResult(context, globals.output, { healthy: good, findings, console: link ?? null }, () =>
        [
          ...findings.map((finding) => textOf(finding, painter(context))),
          ...(link === undefined ? [] : ['', `console: ${link}`]),
        ].join('\n'),
      );
      finish(good ? EXIT.done : EXIT.no);
    });
};

async function examine(
  globals: Globals,
): Promise<{ findings: readonly Finding[]; link: string | undefined }> {
  const findings = [checkRuntime()];
  const session = openSession({ dataDir: globals.dataDir, server: globals.server });
  if (!session.ok) {
    findings.push({
      name: 'data folder',
      good: false,
      found: session.error,
      help: 'start a mesh with `palisade up`, or name its folder with --data',
    });
    return { findings, link: undefined };
  }
  findings.push({ name: 'data folder', good: true, found: session.value.folder.root, help: '' });
  findings.push(...checkModes(session.value), await checkAgent(session.value));
  const control = await checkControl(session.value);
  findings.push(control);
  if (!control.good) return { findings, link: undefined };
  findings.push(...(await checkPoints(session.value)), ...(await checkExpiry(session.value)));
  return { findings, link: await newLink(session.value) };
}

async function checkExpiry(session: Session): Promise<readonly Finding[]> {
  const { horizon } = await caStatus(session, Date.now());
  const close = horizon.filter(({ state }) => state !== 'ok');
  const [next] = horizon;
  if (close.length === 0) {
    const found = next === undefined ? 'nothing' : `${next.what} first, at ${next.expiresAt}`;
    return [{ name: 'expiry', good: true, found, help: '' }];
  }
  return close.map(({ what, expiresAt, fix }) => ({
    name: 'expiry',
    good: false,
    found: `${what} expires at ${expiresAt}`,
    help: fix,
  }));
}

function checkRuntime(): Finding {
  const good = Number(process.versions.node.split('.')[0]) >= 24;
  return {
    name: 'runtime',
    good,
    found: `Node.js ${process.versions.node}`,
    help: 'run `npm ci`: it brings the Node.js that Palisade needs',
  };
}

// SECURITY: a key that others can read is not a key any more.
function checkModes(session: Session): readonly Finding[] {
  const { author, admin } = session.folder;
  return [author.key, admin.key].map((path) => {
    try {
      const mode = statSync(path).mode & 0o777;
      return {
        name: 'key',
        good: (mode & 0o077) === 0,
        found: `${path} has mode ${mode.toString(8)}`,
        help: `chmod 600 ${path}`,
      };
    } catch (error) {
      return {
        name: 'key',
        good: false,
        found: `${path}: ${(error as NodeJS.ErrnoException).code}`,
        help: 'restore it from a backup: without it nothing can be changed',
      };
    }
  });
}

async function checkAgent(session: Session): Promise<Finding> {
  const path = session.settings.agentSocket;
  const good = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
  return {
    name: 'agent',
    good,
    found: good ? `answers on ${path}` : `nobody answers on ${path}`,
    help: 'start it with `palisade up` (or `palisade agent`)',
  };
}

async function checkControl(session: Session): Promise<Finding> {
  const { server } = session.api;
  try {
    const mesh = await session.api.call<{ identity: { ready: boolean; reason: string } }>(
      'GET',
      '/mesh',
      { timeoutMs: 5000 },
    );
    return {
      name: 'control plane',
      good: mesh.identity.ready,
      found: mesh.identity.ready ? `answers at ${server}` : mesh.identity.reason,
      help: 'see whether the CA runs',
    };
  } catch (error) {
    return {
      name: 'control plane',
      good: false,
      found: (error as Error).message,
      help: 'start it with `palisade up` (or `palisade control`); sidecars enforce what they have meanwhile',
    };
  }
}

async function checkPoints(session: Session): Promise<readonly Finding[]> {
  const points = await fetchAll<EnforcementPoint>(session.api, '/enforcement-points');
  const troubled = points.filter(
    (point) => point.stale || !point.ready || point.refused.length > 0,
  );
  if (troubled.length === 0)
    return [
      {
        name: 'enforcement',
        good: true,
        found: `${points.length} points enforce the newest policy`,
        help: '',
      },
    ];
  return troubled.map((point) => ({
    name: 'enforcement',
    good: false,
    found: `${point.node}: ${point.refused[0]?.message ?? (point.reason || point.readyReason)}`,
    help: point.connected
      ? 'see `palisade status -o json`'
      : 'its process is gone or cannot reach its agent: restart it with `palisade run`',
  }));
}

async function newLink(session: Session): Promise<string | undefined> {
  try {
    return (await session.api.call<{ url: string }>('POST', '/console/links', { body: {} })).url;
  } catch {
    // No console is served: nothing to sign in to.
    return undefined;
  }
}

function textOf(finding: Finding, paint: ReturnType<typeof painter>): string {
  const mark = finding.good ? paint('green', 'ok  ') : paint('red', 'bad ');
  const help = finding.good ? '' : `\n     help: ${finding.help}`;
  return `${mark} ${finding.name}: ${finding.found}${help}`;
}
