import type { Session, StoredCommit } from '#client';
import type { AuthoredResource } from '#resource';
import { collectAccepted, readAuthored, refuseErrors } from '../../authored-files.ts';
import {
  commitPlan,
  liveSet,
  namespacesOf,
  type PlannedChange,
  planChanges,
  resourcesOf,
} from '../../changes.ts';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { collectWord } from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { printResult } from '../../output.ts';

/** `palisade apply` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('apply')
    .description("sign resources as a change of their namespaces' policy and hand it in")
    .requiredOption(
      '-f, --file <path>',
      'file or folder, - for standard input (repeatable)',
      collectWord,
    )
    .option('--dry-run', 'say what would change, and change nothing')
    .option('--prune', "delete what the files' namespaces hold and the files do not")
    .option('--accept <code>', 'take a dangerous finding as meant (repeatable)', collectAccepted)
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade apply -f policies\n  $ palisade apply -f policies --dry-run\n  $ palisade apply -f policies && palisade status --wait\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const session = sessionOf(globals);
      const authored = await readChecked(session, options.file, context, {
        namespace: globals.namespace,
        accept: options.accept ?? [],
      });
      const request = { prune: options.prune === true, dryRun: options.dryRun === true };
      const applied = await applyAll(session, authored, request);
      printResult(context, globals.output, resultOf(applied, request.dryRun), () =>
        textOf(applied, request.dryRun),
      );
    });
};

type Applied = {
  readonly changes: readonly PlannedChange[];
  readonly commit: StoredCommit | undefined;
};

async function readChecked(
  session: Session,
  paths: readonly string[],
  context: CliContext,
  { namespace, accept }: { readonly namespace: string; readonly accept: readonly string[] },
): Promise<readonly AuthoredResource[]> {
  const { trustDomain } = session.trustRoot;
  const first = await readAuthored(paths, { context, namespace, trustDomain, accept });
  const live = await Promise.all(
    namespacesOf(first.resources).map((name) => liveSet(session, name)),
  );
  const authored =
    paths.includes('-') || live.every((set) => set.set === undefined)
      ? first
      : await readAuthored(paths, {
          context,
          namespace,
          trustDomain,
          accept,
          live: live.flatMap((set) => resourcesOf(set)),
        });
  refuseErrors(authored, context);
  return authored.resources;
}

async function applyAll(
  session: Session,
  authored: readonly AuthoredResource[],
  request: { readonly prune: boolean; readonly dryRun: boolean },
): Promise<readonly Applied[]> {
  const applied: Applied[] = [];
  for (const namespace of namespacesOf(authored)) {
    let changes: readonly PlannedChange[] = [];
    const plan = (live: Parameters<typeof planChanges>[2]) => {
      changes = planChanges(namespace, authored, live, request);
      return changes;
    };
    if (request.dryRun) plan(await liveSet(session, namespace));
    const commit = request.dryRun ? undefined : await commitPlan(session, namespace, plan);
    applied.push({ changes, commit });
  }
  return applied;
}

function resultOf(applied: readonly Applied[], dryRun: boolean): unknown {
  return {
    dryRun,
    changes: applied.flatMap(({ changes }) =>
      changes.map(({ namespace, key, action }) => ({ namespace, key, action })),
    ),
    commits: applied.flatMap(({ commit }) => (commit === undefined ? [] : [commit])),
  };
}

function textOf(applied: readonly Applied[], dryRun: boolean): string {
  const suffix = dryRun ? ' (dry run)' : '';
  const lines = applied.flatMap(({ changes, commit }) => [
    ...changes.map(({ namespace, key, action }) => `${namespace}/${key} ${action}${suffix}`),
    ...(commit === undefined
      ? []
      : [`${commit.namespace} is now at version ${commit.number} (${commit.hash.slice(0, 12)})`]),
  ]);
  return lines.join('\n');
}
