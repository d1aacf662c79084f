import type { Explanation } from '#policy';
import { type Resource } from '#resource';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { collectPair, collectWord, parsePort } from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { printResult, table } from '../../output.ts';
import { type PolicySource, readEveryNamespace, readPolicySource } from '../../policy-sources.ts';
import { answerCall } from './call-question.ts';
import { noteUnknownNames } from './unknown-names.ts';

/** `palisade who-can` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('who-can')
    .description(
      'which of the registered identities may make this call; exits with 1 when none may',
    )
    .requiredOption('--to <service>', 'service: orders, shop/orders or a host name')
    .option('--method <method>', 'HTTP method')
    .option('--path <path>', 'HTTP path')
    .option('--port <n>', 'port of the service', parsePort)
    .option('--label <k=v>', 'label of the workload (repeatable)', collectPair)
    .option('-f, --file <path>', 'answer from files, offline (repeatable)', collectWord)
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade who-can --to payments --method POST --path /charge\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const source =
        options.file === undefined
          ? await readEveryNamespace(sessionOf(globals))
          : await readPolicySource(context, globals, { files: options.file, to: [] });
      const { label, file: _file, ...rest } = options;
      const callers = callersOf(source).map((from) => {
        const answer = answerCall(source, { ...rest, from, labels: label }, globals.namespace);
        if (!answer.ok) throw new ExitError(EXIT.usage, answer.error);
        const { verdict, policy, rule } = answer.value.decision;
        return { id: from, verdict, policy: policy ?? null, rule: rule ?? null };
      });
      const anonymous = answerCall(source, { ...rest, labels: label }, globals.namespace);
      if (!anonymous.ok) throw new ExitError(EXIT.usage, anonymous.error);
      const allowed = callers.filter((caller) => caller.verdict === 'allow');
      const withoutIdentity = anonymous.value.decision.verdict === 'allow';
      const refused = refusedBecause(anonymous.value);
      const value = {
        allowed: allowed.map(({ verdict: _verdict, ...caller }) => caller),
        withoutIdentity,
        asked: callers.length,
        refused,
      };
      const { namespace } = globals;
      const isOffline = options.file !== undefined;
      noteUnknownNames(context, source, { to: rest.to, namespace, isOffline });
      printResult(context, globals.output, value, () =>
        refused === null
          ? textOf(allowed, withoutIdentity, callers.length)
          : `nobody may, whatever policy says: ${refused}`,
      );
      finish(allowed.length > 0 || withoutIdentity ? EXIT.done : EXIT.no);
    });
};

/** Why the request is refused whoever sends it; null where policy is asked. */
function refusedBecause({ decision, considered, smallestChange }: Explanation): string | null {
  const isBeforePolicy = decision.reason === 'cannot_decide' && considered.length === 0;
  return isBeforePolicy ? (smallestChange?.sentence ?? null) : null;
}

// Registered identities, and those that Services name: whoever else calls has no certificate of this mesh.
function callersOf(source: PolicySource): readonly string[] {
  const ids = [...source.sets.values()].flatMap((set) =>
    set.resources.flatMap((resource) => idsOf(resource, source)),
  );
  return [...new Set(ids)].sort();
}

function idsOf(resource: Resource, source: PolicySource): readonly string[] {
  if (resource.kind === 'Registration') return [resource.spec.spiffeId];
  if (resource.kind !== 'Service') return [];
  const { name, namespace } = resource.metadata;
  return [`spiffe://${source.trustDomain}/ns/${namespace}/sa/${name}`];
}

function textOf(
  allowed: readonly { id: string; policy: string | null; rule: number | null }[],
  withoutIdentity: boolean,
  asked: number,
): string {
  const rows = allowed.map((caller) => [
    caller.id,
    caller.policy === null ? 'the default' : `${caller.policy}, rule ${caller.rule ?? '-'}`,
  ]);
  const summary = `${allowed.length} of ${asked} known identities may${withoutIdentity ? ', and so may a caller without any' : ''}`;
  return rows.length === 0 ? summary : `${table([['IDENTITY', 'BY'], ...rows])}\n\n${summary}`;
}
