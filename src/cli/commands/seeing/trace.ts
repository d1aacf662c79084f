import type { TraceAnswer } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import { parseId } from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { painter, printResult } from '../../output.ts';
import { complainOfMissing } from './record-line.ts';
import { traceText } from './trace-text.ts';

/** `palisade trace` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('trace')
    .description('one call across services, as a timeline')
    .argument('<id>', 'the `trace_id` of any of its records', parseId)
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade trace "$(palisade log --denied --limit 1 -o json | jq -r .trace_id)"\n',
    )
    .action(async (id: string, _options, command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const trace = await api.call<TraceAnswer>('GET', `/traces/${encodeURIComponent(id)}`);
      printResult(context, globals.output, trace, () => traceText(trace, painter(context)));
      complainOfMissing(context, trace.missing);
    });
};
