import type { ApiClient } from '#client';
import { isDryRun, type Resource } from '#resource';
import { type EnforcementPoint, fetchAll, type ResourceEntry } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext, OutputFormat } from '../../context.ts';
import { EXIT } from '../../exit.ts';
import { parseDurationFlag } from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { age, painter, printable, printResult, table } from '../../output.ts';
import { awaitCurrent, isCurrent } from './awaited-points.ts';
import { type DryRunTally, dryRunText, summarizeDryRun } from './dry-run-report.ts';
import { type PlaintextReport, plaintextText } from './plaintext-report.ts';

/** `palisade status` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('status')
    .description(
      'enforcement points: version wanted and enforced, staleness, certificates; 0 only if all enforce the newest',
    )
    .option('--wait', 'wait until all enforce the newest')
    .option('--timeout <duration>', 'how long to wait', parseDurationFlag, 30_000)
    .option(
      '--dry-run',
      'instead, what policies in dry-run would have changed, by policy and caller',
    )
    .option(
      '--plaintext',
      'instead, ports that take plaintext, who sends it, and which could turn STRICT today',
    )
    .option(
      '--since <duration>',
      'with --dry-run (1h) and --plaintext (1d): of the calls since then',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade status\n  $ palisade status --dry-run --since 1d\n  $ palisade apply -f policies && palisade status --wait --timeout 10s\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      if (options.dryRun === true) {
        const since = options.since ?? '1h';
        await reportDryRun(api, context, { since, output: globals.output });
        return;
      }
      if (options.plaintext === true) {
        const since = options.since ?? '1d';
        const query = `/plaintext?since=${encodeURIComponent(since)}`;
        const report = await api.call<PlaintextReport>('GET', query);
        printResult(context, globals.output, report, () =>
          plaintextText(report, { since, paint: painter(context) }),
        );
        return;
      }
      const deadline = options.wait === true ? Date.now() + options.timeout : 0;
      const points = await awaitCurrent(api, deadline);
      const good = points.every((point) => isCurrent(point));
      const value = { current: good, enforcementPoints: points };
      printResult(context, globals.output, value, () => textOf(points, painter(context)));
      finish(good ? EXIT.done : options.wait === true ? EXIT.unreachable : EXIT.no);
    });
};

async function reportDryRun(
  api: ApiClient,
  context: CliContext,
  { since, output }: { readonly since: string; readonly output: OutputFormat },
): Promise<void> {
  const query = `/dry-run?since=${encodeURIComponent(since)}`;
  const policies = summarizeDryRun(await fetchAll<DryRunTally>(api, query));
  const stored = await fetchAll<ResourceEntry>(api, '/resources?kind=AuthorizationPolicy');
  const trials = stored.filter(({ resource }) => isDryRun((resource as Resource).metadata));
  const idle = trials
    .map(({ namespace, name }) => `${namespace}/${name}`)
    .filter((id) => policies.every(({ policy }) => policy !== id));
  printResult(context, output, { since, policies, idle }, () =>
    dryRunText(policies, { since, idle, paint: painter(context) }),
  );
}

function textOf(points: readonly EnforcementPoint[], paint: ReturnType<typeof painter>): string {
  if (points.length === 0)
    return 'no enforcement point has connected yet: start a service with `palisade run`';
  const now = Date.now();
  const rows = points.map((point) => [
    point.node,
    point.kind,
    point.sets.map((set) => versionOf(set)).join(' '),
    stateOf(point, paint),
    age(point.lastSeen, now),
    age(point.certificateExpiresAt, now),
    point.metricsUrl ?? '',
  ]);
  const stale = points.filter((point) => !isCurrent(point)).length;
  const summary = `enforced on ${points.length - stale} of ${points.length}${stale === 0 ? '' : `, ${stale} stale`}`;
  const troubled = points.flatMap((point) =>
    point.troubled.map(({ namespace, service, address, health }) =>
      printable(`${namespace}/${service} at ${address} is ${health}, says ${point.node}`),
    ),
  );
  const bypasses = points
    .filter(({ exposed }) => exposed.length > 0)
    .map((point) => `${printable(bypassOf(point))}\n  ${BYPASS_HELP}`);
  const trouble = [...troubled, ...bypasses].map((line) => `\n${paint('yellow', line)}`).join('');
  return `${table([['NODE', 'KIND', 'ENFORCED/WANTED', 'STATE', 'SEEN', 'CERT', 'METRICS'], ...rows])}\n\n${summary}${trouble}`;
}

// `palisade run` tells the application its port and address; one that listens everywhere was told otherwise.
function bypassOf({ namespace, service, exposed }: EnforcementPoint): string {
  const who = `${namespace}/${service}`;
  return `${who} can be reached around its sidecar at ${exposed.join(', ')}`;
}

const BYPASS_HELP =
  'help: let the application listen on 127.0.0.1 only, or close the port to others';

function versionOf(set: EnforcementPoint['sets'][number]): string {
  return `${set.namespace}@${set.enforced?.number ?? '-'}/${set.wanted?.number ?? '-'}`;
}

function stateOf(point: EnforcementPoint, paint: ReturnType<typeof painter>): string {
  const refusal = point.refused[0];
  if (refusal !== undefined) {
    return paint(
      'red',
      printable(
        `refuses ${refusal.namespace}@${refusal.number}: ${refusal.code}: ${refusal.message}`,
      ),
    );
  }
  if (point.sets.some((set) => !set.current) && !point.stale)
    return paint('yellow', 'taking up the newest');
  if (point.stale) return paint('yellow', printable(point.reason || 'stale'));
  if (point.acknowledged === false)
    return paint('yellow', 'has just come, and acknowledged nothing yet');
  if (!point.ready) return paint('yellow', printable(`not ready: ${point.readyReason}`));
  return paint('green', 'current');
}
