import { setTimeout } from 'node:timers/promises';
import { Option } from 'commander';
import { stringify } from 'yaml';
import type { ApiClient } from '#client';
import type { AccessRecord, RecordAnswer } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import type { OutputFormat } from '../../context.ts';
import {
  collectWord,
  parseCount,
  parseGrpcStatus,
  parsePathPrefix,
  parseStatus,
} from '../../flags.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { tellOfNothing } from '../../nothing-found.ts';
import { painter } from '../../output.ts';
import { followRecords, newestCursor } from './follow-records.ts';
import { noteUnknownFields } from './record-fields.ts';
import { type RecordFilters, recordQuery } from './record-filter.ts';
import { complainOfMissing, recordLine } from './record-line.ts';

/** `palisade log` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('log')
    .description('access records of all proxies, oldest first')
    .option('-f, --follow', 'go on with what comes')
    .option('--denied', 'only what was denied')
    .option('--from <id>', 'only from this SPIFFE ID or service')
    .option('--to <service>', 'only to this service')
    .option('--since <duration>', 'only this far back', '5m')
    .option('--until <time>', 'only before this, a time or a duration back')
    .addOption(new Option('--verdict <verdict>', 'only so decided').choices(['allow', 'deny']))
    .option('--reason <code>', 'only with this reason')
    .option('--method <method>', 'only with this method')
    .option('--path <prefix>', 'only paths that begin so', parsePathPrefix)
    .option('--status <status>', 'only with this status; also >=500', parseStatus)
    .option(
      '--grpc-status <status>',
      'only with this gRPC status, a number or a name; also !OK, >=13',
      parseGrpcStatus,
    )
    .option('--policy <name>', 'only what this policy decided, NAMESPACE/NAME')
    .option('--trace <id>', 'only of this trace; `palisade trace` shows it as a timeline')
    .option('--node <name>', 'only what this sidecar reported')
    .option('--text <text>', 'only with this text anywhere')
    .option(
      '--where <condition>',
      'any field: FIELD=VALUE, !=, ~ (contains), >, >=, <, <=; VALUE* begins with; null is absent; may be repeated',
      collectWord,
    )
    .addOption(
      new Option(
        '--reporter <side>',
        'whose records: each call once (both sides record it), destination, source, or both',
      )
        .choices(['once', 'destination', 'source', 'both'])
        .default('once'),
    )
    .option('--limit <n>', 'at most this many, the newest', parseCount, 1000)
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade log --denied --since 1h\n  $ palisade log --follow --to orders -o json | jq .path\n  $ palisade log --since 1h --status ">=500" --where "duration_us>100000"\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const namespace = globals.namespaceGiven ? globals.namespace : undefined;
      const query = recordQuery(options as RecordFilters, namespace);
      const paint = painter(context);
      noteUnknownFields(context, options as RecordFilters);
      const cursor = options.follow === true ? await newestCursor(api) : '0';
      const print = (record: AccessRecord) => {
        context.stdout.write(lineOf(record, globals.output, paint));
      };
      const isWanted = (record: AccessRecord) => isOf(record, options.reporter);
      const { records, missing } = await newestRecords(api, query, {
        limit: options.limit,
        isWanted,
      });
      for (const record of oldestFirst(records)) print(record);
      if (records.length === 0) tellOfNothing(context, 'call', options as RecordFilters);
      complainOfMissing(context, missing);
      if (options.follow !== true) return;
      query.delete('since');
      query.delete('until');
      await followRecords({
        api: () => sessionOf(globals).api,
        query,
        cursor,
        shown: new Set(records.map((record) => record['record.id'])),
        onRecord: (record) => {
          if (isWanted(record)) print(record);
        },
        onLost: (reason) =>
          context.stderr.write(`palisade: lost the control plane, trying again: ${reason}\n`),
        pause: () => setTimeout(RETRY_MS),
      });
    });
};

// The store answers by arrival, and a sidecar that was cut off delivers late.
function oldestFirst(records: readonly AccessRecord[]): readonly AccessRecord[] {
  const time = (record: AccessRecord) => String(record['time']);
  return records.toReversed().sort((a, b) => (time(a) < time(b) ? -1 : Number(time(a) > time(b))));
}

// A call that reached the other sidecar is recorded there, with the verdict; one that never did only at the caller's.
function isOf(record: AccessRecord, reporter: string): boolean {
  if (reporter === 'both') return true;
  if (reporter !== 'once') return record['reporter'] === reporter;
  return record['reporter'] !== 'source' || record['destination.id'] === null;
}

// A call is a line in JSON, and a document of its own in YAML: whoever reads along has each as it comes.
function lineOf(
  record: AccessRecord,
  output: OutputFormat,
  paint: ReturnType<typeof painter>,
): string {
  if (output === 'text') return `${recordLine(record, paint)}\n`;
  return output === 'yaml' ? `---\n${stringify(record)}` : `${JSON.stringify(record)}\n`;
}

const RETRY_MS = 1_000;
const PAGE = 1000;
const LEAST_PAGE = 50;

// The limit counts what is printed: both sides record a call, and one of the two is left out here.
async function newestRecords(
  api: ApiClient,
  query: URLSearchParams,
  wanted: { readonly limit: number; readonly isWanted: (record: AccessRecord) => boolean },
): Promise<{ records: readonly AccessRecord[]; missing: RecordAnswer['missing'] }> {
  const records: AccessRecord[] = [];
  let missing: RecordAnswer['missing'];
  let cursor: string | null = null;
  do {
    const left = wanted.limit - records.length;
    const size = Math.min(PAGE, Math.max(LEAST_PAGE, left * 2));
    const paging: string = `order=desc&limit=${size}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: RecordAnswer = await api.call<RecordAnswer>('GET', `/records?${query}&${paging}`);
    records.push(...page.items.filter(wanted.isWanted).slice(0, left));
    missing ??= page.missing;
    cursor = page.next;
  } while (cursor !== null && records.length < wanted.limit);
  return { records, missing };
}
