import type { Command } from 'commander';
import { stringify } from 'yaml';
import { type Session } from '#client';
import { KINDS, type Resource, resourceToYaml } from '#resource';
import { fetchAll, type ResourceEntry } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { age, printResult, table } from '../../output.ts';

/** `palisade get` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('get')
    .description('what is stored')
    .argument('<kind>', `one of ${KINDS.join(', ')} (any case, plural too) or all`)
    .argument('[name]', 'one resource')
    .option('-A, --all-namespaces', 'of every namespace')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade get services -A\n  $ palisade get authorizationpolicy orders -o yaml\n',
    )
    .action(async (kindText: string, name: string | undefined, options, command: Command) => {
      const globals = globalsOf(command, context);
      const kind = kindText === 'all' ? undefined : kindNamed(kindText);
      const namespace = options.allNamespaces === true ? undefined : globals.namespace;
      const entries = await entriesOf(sessionOf(globals), { kind, name, namespace });
      if (name !== undefined && entries.length === 0) {
        throw new ExitError(
          EXIT.no,
          `there is no ${kindText} \`${name}\` in namespace \`${globals.namespace}\``,
          'see `palisade get all -A`',
        );
      }
      if (globals.output === 'yaml') {
        context.stdout.write(entries.map((entry) => yamlOf(entry)).join('---\n'));
      } else {
        const value = entries.map((entry) => entry.resource);
        printResult(context, globals.output, name === undefined ? value : value[0], () =>
          tableOf(entries),
        );
      }
      finish(EXIT.done);
    });
};

/** The kind meant by `services`, `authorizationpolicy`, `AuthorizationPolicy`, `peerauthentications` …, or a usage error. */
export function kindNamed(text: string): string {
  const wanted = text.toLowerCase();
  const kind = KINDS.find((kind) =>
    [kind.toLowerCase(), plural(kind.toLowerCase())].includes(wanted),
  );
  if (kind !== undefined) return kind;
  throw new ExitError(
    EXIT.usage,
    `\`${text}\` is not a kind of resource`,
    `use one of ${KINDS.join(', ')}`,
  );
}

function plural(word: string): string {
  if (word.endsWith('y')) return `${word.slice(0, -1)}ies`;
  return word.endsWith('sh') ? `${word}es` : `${word}s`;
}

async function entriesOf(
  session: Session,
  wanted: { kind: string | undefined; name: string | undefined; namespace: string | undefined },
): Promise<readonly ResourceEntry[]> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(wanted)) if (value !== undefined) query.set(key, value);
  return fetchAll<ResourceEntry>(session.api, `/resources?${query}`);
}

function yamlOf(entry: ResourceEntry): string {
  return entry.source ?? resourceToYaml(entry.resource as Resource) ?? stringify(entry.resource);
}

function tableOf(entries: readonly ResourceEntry[]): string {
  if (entries.length === 0) return 'nothing is stored';
  const rows = entries.map((entry) => [
    entry.namespace,
    entry.kind,
    entry.name,
    String(entry.number),
    entry.author,
    age(entry.time, Date.now()),
  ]);
  return table([['NAMESPACE', 'KIND', 'NAME', 'VERSION', 'AUTHOR', 'AGE'], ...rows]);
}
