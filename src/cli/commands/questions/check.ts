import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Explanation } from '#policy';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { collectClaim, collectHeader, collectPair, collectWord, parsePort } from '../../flags.ts';
import { type Globals, globalsOf } from '../../globals.ts';
import { painter, printResult } from '../../output.ts';
import { type PolicySource, readPolicySource } from '../../policy-sources.ts';
import { parseBatchLine } from './batch-line.ts';
import { answerCall, type CallQuestion } from './call-question.ts';
import { explanationText } from './explanation-text.ts';
import { noteUnknownNames } from './unknown-names.ts';

/** `palisade check` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('check')
    .description(
      "may this call pass, and why: the proxies' own engine; exits with 1 when it may not",
    )
    .option(
      '--from <id>',
      'caller: web, shop/web or a SPIFFE ID (without: a caller with no identity)',
    )
    .option('--to <service>', 'service: orders, shop/orders or a host name')
    .option('--method <method>', 'HTTP method')
    .option('--path <path>', 'HTTP path')
    .option('--header <k=v>', 'HTTP header (repeatable, also for lines of one name)', collectHeader)
    .option(
      '--claim <k=v>',
      "claim of the end user's token, which is taken as valid (repeatable): sub=alice, realm[roles]=admin",
      collectClaim,
    )
    .option('--port <n>', 'port of the service', parsePort)
    .option('--source-ip <ip>', 'address of the caller')
    .option('--remote-ip <ip>', 'address of the original caller, before trusted proxies')
    .option('--destination-ip <ip>', 'address that was called')
    .option('--attestation <strength>', 'how strongly the caller was attested, e.g. process')
    .option('--sni <name>', 'TLS server name')
    .option('--label <k=v>', 'label of the workload (repeatable; app is the service)', collectPair)
    .option('--at <time>', 'at this time (ISO 8601)')
    .option(
      '-f, --file <path>',
      "answer from files, offline, the mesh's default being deny (repeatable)",
      collectWord,
    )
    .option(
      '--batch <file>',
      "questions as JSON lines with the flags' names, - for standard input; answers as JSON lines",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade check --from web --to orders --method POST --path /orders\n  $ palisade check -f policies --from shop/web --to shop/orders\n  $ echo \'{"from":"web","to":"orders","path":"/"}\' | palisade check --batch -\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      if (options.batch !== undefined) {
        finish(await answerBatch(context, globals, options.batch, options.file));
        return;
      }
      if (options.to === undefined)
        throw new ExitError(EXIT.usage, 'no service is named', 'add --to SERVICE, or --batch FILE');
      const { header, claim, label, file, ...rest } = options;
      const question: CallQuestion = {
        ...rest,
        headers: header,
        claims: claim,
        labels: label,
      };
      const named = [question.to, ...namespaceOfCaller(question.from)];
      const source = await readPolicySource(context, globals, { files: file, to: named });
      const answer = answerCall(source, question, globals.namespace);
      if (!answer.ok) throw new ExitError(EXIT.usage, answer.error);
      const { namespace } = globals;
      noteUnknownNames(context, source, { ...question, namespace, isOffline: file !== undefined });
      printResult(context, globals.output, answerJson(answer.value), () =>
        explanationText(answer.value, painter(context)),
      );
      finish(answer.value.decision.verdict === 'allow' ? EXIT.done : EXIT.no);
    });
};

// The set of the caller's namespace says whether there is such a caller.
function namespaceOfCaller(from: string | undefined): readonly string[] {
  const named = /^(?:(?:spiffe:\/\/)?[^/]+\/ns\/)?([^/]+)\//.exec(from ?? '')?.[1];
  return named === undefined ? [] : [`${named}/`];
}

/** The stable JSON of an answer: the decision's fields on top, the reasons beside them. */
export function answerJson(explanation: Explanation): Record<string, unknown> {
  const { decision, considered, smallestChange } = explanation;
  return {
    verdict: decision.verdict,
    reason: decision.reason,
    policy: decision.policy ?? null,
    rule: decision.rule ?? null,
    dryRun: decision.dryRun,
    considered,
    smallestChange: smallestChange ?? null,
  };
}

async function answerBatch(
  context: CliContext,
  globals: Globals,
  path: string,
  files: readonly string[] | undefined,
): Promise<number> {
  const input = path === '-' ? context.stdin : createReadStream(path);
  let source: PolicySource | undefined;
  let status: number = EXIT.done;
  let line = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line += 1;
      if (text.trim() === '') continue;
      const question = parseBatchLine(text);
      // Questions may name any service, so a live batch reads the set of each namespace it meets.
      if (question.ok) source = await sourceFor(context, globals, files, question.value.to, source);
      const answer =
        question.ok && source !== undefined
          ? answerCall(source, question.value, globals.namespace)
          : question;
      if (!answer.ok) status = EXIT.usage;
      const value = answer.ok
        ? answerJson(answer.value as Explanation)
        : { line, error: answer.error };
      context.stdout.write(`${JSON.stringify(value)}\n`);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES')
      throw new ExitError(
        EXIT.usage,
        `cannot read \`${path}\`: ${code}`,
        'name a file of JSON lines, or - for standard input',
      );
    throw error;
  }
  return status;
}

async function sourceFor(
  context: CliContext,
  globals: Globals,
  files: readonly string[] | undefined,
  to: string,
  before: PolicySource | undefined,
): Promise<PolicySource> {
  if (files !== undefined) return before ?? readPolicySource(context, globals, { files, to: [] });
  const namespace =
    /^[^/:]*\//.exec(to)?.[0].slice(0, -1) ?? to.split(':')[0]?.split('.')[1] ?? globals.namespace;
  if (before?.sets.has(namespace)) return before;
  const more = await readPolicySource(context, globals, { files, to: [to] });
  return { ...more, sets: new Map([...(before?.sets ?? []), ...more.sets]) };
}
