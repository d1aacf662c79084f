import type { Explanation } from '#policy';
import type { AccessRecord } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import { parseId } from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { painter, printable, printResult } from '../../output.ts';
import { explanationText } from './explanation-text.ts';

type DenialDetail = {
  readonly record: AccessRecord;
  readonly explanation: Explanation;
  readonly evaluatedAt: Readonly<Record<string, number>>;
  readonly exact: boolean;
  readonly changedSince: boolean;
  readonly now: Explanation;
};

/** `palisade explain` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('explain')
    .description(
      'why one call was denied: policy, rule, inputs, and the smallest change that would allow it',
    )
    .argument(
      '<denial-id>',
      'from the 403, its header x-palisade-denial, or `palisade log --denied`',
      parseId,
    )
    .addHelpText('after', '\nExample:\n  $ palisade explain 4f6c1d0a9b3e\n')
    .action(async (id: string, _options, command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const detail = await api.call<DenialDetail>('GET', `/denials/${encodeURIComponent(id)}`);
      printResult(context, globals.output, detail, () => textOf(detail, painter(context)));
    });
};

function textOf(detail: DenialDetail, paint: ReturnType<typeof painter>): string {
  const { record } = detail;
  const text = (name: string) => printable(String(record[name] ?? '-'));
  const call =
    record['kind'] === 'tcp'
      ? `TCP to port ${text('destination.port')}`
      : `${text('method')} ${text('host')}${text('path')}`;
  const versions = Object.entries(detail.evaluatedAt).map(
    ([namespace, number]) => `${namespace}@${number}`,
  );
  const lines = [
    `${text('time')}  ${call}`,
    `  caller   ${record['source.id'] === null ? 'without identity' : text('source.id')} from ${text('source.ip')}`,
    `  service  ${text('destination.namespace')}/${text('destination.service')}`,
    `  policy   ${versions.join(' ')}${detail.exact ? '' : ' (the version of the denial is not kept any more)'}`,
    '',
    explanationText(detail.explanation, paint),
  ];
  if (detail.changedSince) {
    lines.push(
      '',
      `policy has changed since; today this call is ${detail.now.decision.verdict === 'allow' ? 'allowed' : 'denied'}`,
    );
  }
  return lines.join('\n');
}
