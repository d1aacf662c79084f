import { stringify } from 'yaml';
import type { Session } from '#client';
import { diffCalls, judgeRecorded, type ResourceSets } from '#compile';
import { parseTrustDomain, type TrustDomain } from '#identity';
import { lineDiff } from '#lib';
import { type Resource, ROOT_NAMESPACE } from '#resource';
import { type AuthoredFiles, readAuthored, refuseErrors } from '../../authored-files.ts';
import {
  liveSet,
  namespacesOf,
  type PlannedChange,
  planChanges,
  resourcesOf,
} from '../../changes.ts';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { collectWord } from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { fetchObserved } from '../../observed.ts';
import { painter, printResult } from '../../output.ts';
import { type CallReport, callLines } from './call-report.ts';

/** `palisade diff` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('diff')
    .description(
      'which calls would change their verdict if files were applied; exits with 1 when files differ from what is live',
    )
    .requiredOption(
      '-f, --file <path>',
      'file or folder, - for standard input (repeatable)',
      collectWord,
    )
    .option('--prune', 'also what apply --prune would delete')
    .option('--lines', 'also the lines that differ')
    .option('--since <duration>', 'judge the recorded calls since then too', '1h')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade diff -f policies\n  $ palisade diff -f policies --lines --since 1d\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const session = sessionOf(globals);
      const authored = await readAuthored(options.file, { context, namespace: globals.namespace });
      refuseErrors(authored, context);
      const prune = options.prune === true;
      const { changes, before, after } = await planAll(session, authored, prune);
      const differing = changes.filter((change) => change.action !== 'unchanged');
      const calls = await reportCalls(session, { before, after, since: options.since });
      const paint = painter(context);
      const value = {
        changes: differing.map(({ source: _source, ...change }) => change),
        calls,
      };
      printResult(context, globals.output, value, () =>
        [
          ...differing.map((change) => textOf(change, paint, options.lines === true)),
          ...(differing.length === 0 ? [] : ['', ...callLines(calls, options.since, paint)]),
        ].join('\n'),
      );
      finish(differing.length === 0 ? EXIT.done : EXIT.no);
    });
};

type Planned = {
  readonly changes: readonly PlannedChange[];
  readonly before: ResourceSets;
  readonly after: ResourceSets;
};

/** What applying would change, and the policy before and after, with the root namespace, which concerns all. */
async function planAll(
  session: Session,
  authored: AuthoredFiles,
  prune: boolean,
): Promise<Planned> {
  const changes: PlannedChange[] = [];
  const before = new Map<string, ResourceSets extends ReadonlyMap<string, infer S> ? S : never>();
  const after = new Map(before);
  for (const namespace of new Set([ROOT_NAMESPACE, ...namespacesOf(authored.resources)])) {
    const live = await liveSet(session, namespace);
    const planned = planChanges(namespace, authored.resources, live, { prune });
    changes.push(...planned);
    const { number = 0, hash = '' } = live.set?.head ?? {};
    const resources = resourcesOf(live);
    before.set(namespace, { number, hash, resources });
    after.set(namespace, { number, hash, resources: changed(resources, planned) });
  }
  return { changes, before, after };
}

function changed(
  live: readonly Resource[],
  planned: readonly PlannedChange[],
): readonly Resource[] {
  const touched = new Set(planned.map(({ key }) => key));
  const kept = live.filter(({ kind, metadata }) => !touched.has(`${kind}/${metadata.name}`));
  return [
    ...kept,
    ...planned.flatMap(({ after }) => (after === undefined ? [] : [after as Resource])),
  ];
}

async function reportCalls(
  session: Session,
  { before, after, since }: Pick<Planned, 'before' | 'after'> & { readonly since: string },
): Promise<CallReport> {
  const trustDomain = trustDomainOf(session);
  const nowMs = Date.now();
  const services = diffCalls({ before, after, trustDomain, nowMs });
  if (!services.ok) throw new ExitError(EXIT.usage, services.error);
  const touched = services.value.map(({ service }) => service);
  const recorded = [];
  for (const to of touched) {
    const { calls } = await fetchObserved(session.api, new URLSearchParams({ to, since }));
    recorded.push(...judgeRecorded(calls, { before, after, trustDomain }));
  }
  return { services: services.value, recorded };
}

function trustDomainOf(session: Session): TrustDomain {
  const parsed = parseTrustDomain(session.trustRoot.trustDomain);
  if (parsed.ok) return parsed.value;
  throw new ExitError(EXIT.usage, parsed.error);
}

function textOf(
  change: PlannedChange,
  paint: ReturnType<typeof painter>,
  withLines: boolean,
): string {
  const name = paint('bold', `${change.namespace}/${change.key} ${change.action}`);
  if (!withLines) return name;
  const lines = lineDiff(yamlOf(change.before), yamlOf(change.after)).map(({ sign, text }) => {
    if (sign === ' ') return `  ${text}`;
    return paint(sign === '+' ? 'green' : 'red', `${sign} ${text}`);
  });
  return [name, ...lines].join('\n');
}

function yamlOf(value: unknown): readonly string[] {
  return value === undefined ? [] : stringify(value).trimEnd().split('\n');
}
