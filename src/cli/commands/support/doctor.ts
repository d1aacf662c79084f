import { connect } from 'node:net';
import { ApiError, openSession, type Session, UnknownRouteError } from '#client';
import { type EnforcementPoint, fetchAll } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import { EXIT } from '../../exit.ts';
import { type Globals, globalsOf } from '../../globals.ts';
import { painter, printResult } from '../../output.ts';
import { asTyped } from '../../spoken-name.ts';
import { VERSION } from '../../version.ts';
import { unknownRouteSkew, versionSkew } from '../../version-skew.ts';
import { caStatus } from '../identities/ca-status.ts';
import {
  checkClock,
  checkFiles,
  checkPorts,
  type Finding,
  fine,
  wrong,
} from './doctor-findings.ts';

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
          ...findings.map((finding) => asTyped(textOf(finding, painter(context)), context.env)),
          ...(link === undefined ? [] : ['', `console: ${link}`]),
        ].join('\n'),
      );
      finish(good ? EXIT.done : EXIT.no);
    });
};

type Examined = { readonly findings: readonly Finding[]; readonly link: string | undefined };

async function examine(globals: Globals): Promise<Examined> {
  const session = openSession({ dataDir: globals.dataDir, server: globals.server });
  if (!session.ok) {
    const help = 'start a mesh with `palisade up`, or name its folder with --data';
    const findings = [checkRuntime(), wrong('data folder', session.error, help)];
    return { findings: [...findings, ...checkPorts(globals.dataDir, undefined)], link: undefined };
  }
  const { folder, settings } = session.value;
  const control = await checkControl(session.value);
  const { root, author, admin } = folder;
  const clock = {
    root,
    certificate: admin.certificate,
    nowMs: Date.now(),
    controlNow: control.now,
  };
  const findings = [
    checkRuntime(),
    fine('data folder', root),
    ...checkFiles(root, [author.key, admin.key]),
    ...checkClock(clock),
    await checkAgent(session.value),
    control.finding,
  ];
  if (control.now === undefined) {
    // What listens where the control plane should is another program, or one of the mesh that hangs.
    return { findings: [...findings, ...checkPorts(root, settings)], link: undefined };
  }
  const skew = versionSkew(control.version);
  findings.push(
    skew === undefined
      ? fine('version', `${VERSION}, as the control plane`)
      : wrong('version', skew.message, skew.help),
    ...(await asked('enforcement', () => checkPoints(session.value))),
    ...(await asked('expiry', () => checkExpiry(session.value))),
  );
  return { findings, link: await newLink(session.value) };
}

/** What `check` finds; where the control plane does not answer its question, that. */
async function asked(
  name: string,
  check: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof UnknownRouteError) {
      const { message, help } = unknownRouteSkew(error);
      return [wrong(name, message, help)];
    }
    if (!(error instanceof ApiError)) throw error;
    return [wrong(name, error.message, 'see what `palisade.log` in the data folder says')];
  }
}

async function checkExpiry(session: Session): Promise<readonly Finding[]> {
  const { horizon } = await caStatus(session, Date.now());
  const close = horizon.filter(({ state }) => state !== 'ok');
  const [next] = horizon;
  if (close.length === 0) {
    const found = next === undefined ? 'nothing' : `${next.what} first, at ${next.expiresAt}`;
    return [fine('expiry', found)];
  }
  return close.map(({ what, expiresAt, fix }) =>
    wrong('expiry', `${what} expires at ${expiresAt}`, fix),
  );
}

function checkRuntime(): Finding {
  const found = `Node.js ${process.versions.node}`;
  const help = 'run `npm ci`: it brings the Node.js that Palisade needs';
  const isNew = Number(process.versions.node.split('.')[0]) >= 24;
  return isNew ? fine('runtime', found) : wrong('runtime', found, help);
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
  if (good) return fine('agent', `answers on ${path}`);
  const help = 'start it with `palisade up` (or `palisade agent`)';
  return wrong('agent', `nobody answers on ${path}`, help);
}

// `now` is the control plane's clock, where it answered.
async function checkControl({ api }: Session): Promise<{
  readonly finding: Finding;
  readonly now: string | undefined;
  readonly version?: string;
}> {
  const name = 'control plane';
  try {
    const { identity, now, version } = await api.call<MeshAnswer>('GET', '/mesh', {
      timeoutMs: 5000,
    });
    const finding = identity.ready
      ? fine(name, `answers at ${api.server}`)
      : wrong(name, identity.reason, 'see whether the CA runs');
    return { finding, now, version };
  } catch (error) {
    const help =
      'start it with `palisade up` (or `palisade control`); sidecars enforce what they have meanwhile';
    return { finding: wrong(name, (error as Error).message, help), now: undefined };
  }
}

type MeshAnswer = {
  readonly identity: { readonly ready: boolean; readonly reason: string };
  readonly now: string;
  readonly version: string;
};

async function checkPoints(session: Session): Promise<readonly Finding[]> {
  const points = await fetchAll<EnforcementPoint>(session.api, '/enforcement-points');
  const troubled = points.filter(
    (point) => point.stale || !point.ready || point.refused.length > 0,
  );
  if (troubled.length === 0)
    return [fine('enforcement', `${points.length} points enforce the newest policy`)];
  return troubled.map((point) =>
    wrong(
      'enforcement',
      `${point.node}: ${point.refused[0]?.message ?? (point.reason || point.readyReason)}`,
      point.connected
        ? 'see `palisade status -o json`'
        : 'its process is gone or cannot reach its agent: restart it with `palisade run`',
    ),
  );
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
