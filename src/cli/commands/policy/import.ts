import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { makeFolders } from '#client';
import { type ImportDifference, importDifferences } from '#compile';
import {
  type IstioImport,
  importIstio,
  ROOT_NAMESPACE,
  renderDiagnostics,
  resourceToYaml,
} from '#resource';
import { readTexts } from '../../authored-files.ts';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT } from '../../exit.ts';
import { collectWord } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';
import { attempt } from '../../out-file.ts';
import { painter, printable, printResult, wantsColor } from '../../output.ts';

type Options = {
  readonly file: readonly string[];
  readonly rootNamespace: string;
  readonly keepDefaults?: true;
  readonly out?: string;
};

/** `palisade import` */
export const register: CommandModule['register'] = (program, context, finish) => {
  const command = program
    .command('import')
    .description("what another mesh's security policy would mean here; applies nothing")
    .addHelpText('after', '\nExample:\n  $ palisade import istio -f istio/\n');
  command
    .command('istio')
    .description('reads an Istio folder or what `kubectl get -o yaml` printed')
    .requiredOption(
      '-f, --file <path>',
      'file or folder, - for standard input (repeatable)',
      collectWord,
    )
    .option('--root-namespace <ns>', "Istio's root namespace", 'istio-system')
    .option('--keep-defaults', "with --out, a Mesh with Istio's defaults: open, PERMISSIVE")
    .option('--out <dir>', 'write what can be imported there, a file a namespace')
    .addHelpText(
      'after',
      '\nExamples:\n  $ kubectl get authorizationpolicies,peerauthentications,requestauthentications,services -A -o yaml | palisade import istio -f -\n  $ palisade import istio -f istio/ --out policies\n',
    )
    .action(async (options: Options, one: Command) => {
      const globals = globalsOf(one, context);
      const texts = await readTexts(options.file, context);
      const imported = importIstio(texts, {
        defaultNamespace: globals.namespace,
        istioRootNamespace: options.rootNamespace,
      });
      const differences = importDifferences(imported.resources).filter(
        ({ code }) => options.keepDefaults !== true || !MESH_DEFAULTS.has(code),
      );
      const written = options.out === undefined ? [] : writeAll(options.out, imported, options);
      const refused = ofSeverity(imported, 'error');
      const value = {
        resources: imported.resources.map(({ resource, file, line }) => ({ resource, file, line })),
        refused,
        warnings: ofSeverity(imported, 'warning'),
        differences,
        skipped: imported.skipped,
        written,
      };
      printResult(context, globals.output, value, () =>
        textOf(imported, differences, context)
          .concat(written.map((path) => `wrote ${path}`))
          .join('\n'),
      );
      finish(refused.length === 0 ? EXIT.done : EXIT.no);
    });
};

const MESH_DEFAULTS: ReadonlySet<string> = new Set(['default_deny', 'peer_mode']);

function ofSeverity(
  { diagnostics }: IstioImport,
  wanted: 'error' | 'warning',
): IstioImport['diagnostics'] {
  return diagnostics.filter(({ severity }) => severity === wanted);
}

function textOf(
  imported: IstioImport,
  differences: readonly ImportDifference[],
  context: CliContext,
): string[] {
  const paint = painter(context);
  const { diagnostics, resources, skipped } = imported;
  const refused = ofSeverity(imported, 'error');
  const problems = renderDiagnostics(diagnostics, { color: wantsColor(context, context.stdout) });
  const others = Object.entries(skipped).map(([what, count]) => `${count} ${what}`);
  return [
    ...(problems === '' ? [] : [problems]),
    ...differences.flatMap(({ code, where, message, help }) => [
      `${paint('yellow', `differs[${code}]`)} ${printable(`${where}: ${message}`)}`,
      `  help: ${printable(help)}`,
    ]),
    ...(differences.length === 0 ? [] : ['']),
    `${resources.length} resources can be imported, ${refused.length === 0 ? 'none is refused' : `${refused.length} problems refuse others`}, ${differences.length} differences`,
    ...(others.length === 0
      ? []
      : [printable(`not security policy, left alone: ${others.join(', ')}`)]),
    'nothing was applied',
  ];
}

const ISTIO_DEFAULTS = `# What holds in Istio where nothing else is written: keep it while you move, then remove it.
apiVersion: palisade.dev/v1
kind: Mesh
spec:
  defaultAction: allow
  peerAuthentication:
    mode: PERMISSIVE
`;

function writeAll(folder: string, { resources }: IstioImport, options: Options): string[] {
  const byNamespace = Map.groupBy(resources, ({ resource }) => resource.metadata.namespace);
  const texts = new Map(
    Array.from(byNamespace, ([namespace, all]) => [
      namespace,
      all.map(({ resource }) => resourceToYaml(resource)).join('---\n'),
    ]),
  );
  if (options.keepDefaults === true) {
    const root = texts.get(ROOT_NAMESPACE);
    texts.set(
      ROOT_NAMESPACE,
      root === undefined ? ISTIO_DEFAULTS : `${ISTIO_DEFAULTS}---\n${root}`,
    );
  }
  return attempt(folder, 'name another with --out', () => {
    makeFolders(folder);
    return Array.from(texts, ([namespace, text]) => {
      const path = join(folder, `${namespace}.yaml`);
      writeFileSync(path, text);
      return path;
    });
  });
}
