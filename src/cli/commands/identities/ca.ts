import type { Command } from 'commander';
import type { Session } from '#client';
import type { CommandModule } from '../../command-module.ts';
import type { AuthorityOptions, CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { parseDurationFlag, parseHostPort, parsePort } from '../../flags.ts';
import { type Globals, globalsOf, sessionOf } from '../../globals.ts';
import { age, printResult, table } from '../../output.ts';
import { type CaStatus, caStatus } from './ca-status.ts';
import { revokeAllBefore } from './revoking.ts';
import { abort, rehearse, rotate, type Step } from './rotation.ts';

/** `palisade ca`, `ca status` and `ca rotate` */
export const register: CommandModule['register'] = (program, context, finish) => {
  const ca = program
    .command('ca')
    .description('the certificate authority as a process of its own; its status, its rotation')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--port <port>',
      'port to listen on (default: what the data folder names, else 7702)',
      parsePort,
    )
    .option(
      '--metrics <host:port>',
      'serve metrics and health here (15021 is usual)',
      parseHostPort,
    )
    .addHelpText('after', '\nExample:\n  $ palisade ca --data /var/lib/palisade\n')
    .action(async (options, command) => {
      const { dataDir, output, verbose } = globalsOf(command, context);
      finish(
        await context.processes.ca({
          dataDir,
          output,
          verbose,
          host: options.host,
          port: options.port,
          metrics: options.metrics,
        }),
      );
    });
  registerStatus(ca, context, finish);
  registerRotate(ca, context);
  registerIntermediates(ca, context, finish);
};

function registerStatus(ca: Command, context: CliContext, finish: (status: number) => void): void {
  ca.command('status')
    .description('roots, who stands under which, and what expires when; 1 if something is about to')
    .addHelpText('after', '\nExample:\n  $ palisade ca status\n')
    .action(async (_options, command: Command) => {
      const globals = globalsOf(command, context);
      const nowMs = Date.now();
      const status = await caStatus(sessionOf(globals), nowMs);
      printResult(context, globals.output, status, () => statusText(status, nowMs));
      finish(status.horizon.some(({ state }) => state !== 'ok') ? EXIT.no : EXIT.done);
    });
}

function statusText(
  { trustRootVersion, phase, roots, horizon, problem }: CaStatus,
  nowMs: number,
): string {
  const rows = roots.map(({ sha256, role, expiresAt, points }) => [
    sha256.slice(0, 16),
    role,
    age(expiresAt, nowMs),
    String(points),
  ]);
  const expiries = horizon.map(({ what, expiresAt, state, fix }) => [
    what,
    age(expiresAt, nowMs),
    state,
    state === 'ok' ? '' : fix,
  ]);
  return [
    `trust root ${trustRootVersion}; ${phase === 'idle' ? 'no rotation is under way' : `a rotation is ${phase}`}`,
    table([['ROOT', 'ROLE', 'EXPIRES IN', 'POINTS'], ...rows]),
    table([['WHAT', 'EXPIRES IN', 'STATE', 'FIX'], ...expiries]),
    ...(problem === '' ? [] : [`the authority could not be asked now: ${problem}`]),
  ].join('\n\n');
}

function registerRotate(ca: Command, context: CliContext): void {
  ca.command('rotate')
    .description('replaces the root: prepare, distribute, activate, retire, each followed by all')
    .option('--rehearse', 'only say who would break')
    .option('--abort', 'go back to the old root, until it is retired')
    .option(
      '--taint',
      'the old key is in wrong hands: wait little, leave behind who does not follow',
    )
    .option('--leave-behind', 'go on without those that do not follow in time')
    .option(
      '--timeout <duration>',
      'how long each step waits (default: 60s, 10s with --taint)',
      parseDurationFlag,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade ca rotate --rehearse\n  $ palisade ca rotate\n  $ palisade ca rotate --taint\n',
    )
    .action(async (options: RotateFlags, command: Command) => {
      const globals = globalsOf(command, context);
      const { abort: back = false, rehearse: only = false, taint = false } = options;
      if (back && (only || taint)) {
        const other = only ? '--rehearse' : '--taint';
        throw new ExitError(EXIT.usage, `--abort goes back, ${other} does not: give one of them`);
      }
      const session = sessionOf(globals);
      if (only) return rehearsal(context, globals, session);
      const steps: Step[] = [];
      const isTaint = options.taint === true;
      const how = {
        timeoutMs: options.timeout ?? (isTaint ? TAINT_MS : STEP_MS),
        settleMs: isTaint ? 0 : SETTLE_MS,
        leaveBehind: isTaint || options.leaveBehind === true,
        onStep(step: Step) {
          steps.push(step);
          if (globals.output === 'text') context.stdout.write(`${stepText(step)}\n`);
        },
      };
      const tainted = {
        async onRetired(instant: string, serials: readonly string[]) {
          const reason = 'the key of the authority was tainted';
          const timeoutMs = how.timeoutMs;
          const told = await revokeAllBefore(session, { instant, serials, reason, timeoutMs });
          if (globals.output === 'text') {
            const and = serials.length === 0 ? '' : ' and the intermediates before the new one';
            context.stdout.write(`revoked what was issued before ${instant}${and}: ${told}\n`);
          }
        },
      };
      const trustRoot = await (options.abort === true ? abort : rotate)(
        session,
        isTaint ? { ...how, ...tainted } : how,
      );
      const result = { trustRootVersion: trustRoot.version, steps };
      printResult(context, globals.output, result, () => 'done');
    });
}

function registerIntermediates(
  ca: Command,
  context: CliContext,
  finish: (status: number) => void,
): void {
  const run = async (command: Command, action: AuthorityOptions['action']) => {
    const { dataDir, output, verbose } = globalsOf(command, context);
    finish(await context.processes.authority({ dataDir, output, verbose, action }));
  };
  ca.command('csr')
    .description(
      'makes a key for an intermediate and prints the request that another CA is to sign',
    )
    .addHelpText('after', '\nExample:\n  $ palisade ca csr > palisade.csr\n')
    .action((_options, command: Command) => run(command, { kind: 'request' }));
  ca.command('import-chain')
    .description('takes in what was signed: the intermediate first, the root last')
    .argument('<file>', 'PEM')
    .addHelpText('after', '\nExample:\n  $ palisade ca import-chain chain.pem\n')
    .action((file: string, _options, command: Command) => run(command, { kind: 'import', file }));
  ca.command('sign-csr')
    .description('signs the request of an authority below this one, and prints its chain')
    .argument('<file>', 'PEM, of `palisade ca csr`')
    .option('--ttl <duration>', 'how long it is valid', parseDurationFlag, SIGNED_TTL_MS)
    .addHelpText('after', '\nExample:\n  $ palisade ca sign-csr branch.csr --ttl 90d > chain.pem\n')
    .action((file: string, { ttl }: { ttl: number }, command: Command) =>
      run(command, { kind: 'sign', file, ttlMs: ttl }),
    );
}

const SIGNED_TTL_MS = 90 * 86_400_000;

type RotateFlags = {
  readonly rehearse?: boolean;
  readonly abort?: boolean;
  readonly taint?: boolean;
  readonly leaveBehind?: boolean;
  readonly timeout?: number;
};

const STEP_MS = 60_000;
const SETTLE_MS = 5_000;
const TAINT_MS = 10_000;

async function rehearsal(context: CliContext, globals: Globals, session: Session): Promise<void> {
  const breaking = await rehearse(session);
  printResult(context, globals.output, { breaking }, () =>
    breaking.length === 0
      ? 'nobody would break'
      : table([['WOULD BREAK', 'WHY'], ...breaking.map(({ node, reason }) => [node, reason])]),
  );
  if (breaking.length > 0) throw new ExitError(EXIT.no, `${breaking.length} would break`);
}

function stepText({ step, trustRootVersion, followed, of }: Step): string {
  if (step === 'prepare') return 'prepare: the authority has made its next root';
  if (step === 'replace') {
    return "replace: the root is the upstream's and stays; the authority issues with another intermediate below it from now on";
  }
  return `${step}: trust root ${trustRootVersion}, followed by ${followed} of ${of} enforcement points`;
}
