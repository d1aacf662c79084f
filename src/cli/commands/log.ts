import { Option } from 'commander';
import type { ApiClient } from '#client';
import type { AccessRecord, Page } from '../api-types.ts';
import type { CommandModule } from '../commands.ts';
import { globalsOf, sessionOf } from '../globals.ts';
import { painter, printable } from '../output.ts';

/** `palisade log` */
export const register: CommandModule['register'] = (program, context) => {
  program
    .command('log')
    .description('access records of all proxies, oldest first')
    .option('--follow', 'go on with what comes')
    .option('--denied', 'only what was denied')
    .option('--from <id>', 'only from this SPIFFE ID or service')
    .option('--to <service>', 'only to this service')
    .option('--since <duration>', 'only this far back', '5m')
    .addOption(
      new Option(
        '--reporter <side>',
        'whose records: each call once (both sides record it), destination, source, or both',
      )
        .choices(['once', 'destination', 'source', 'both'])
        .default('once'),
    )
    .option('--limit <n>', 'at most this many, the newest', '1000')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade log --denied --since 1h\n  $ palisade log --follow --to orders -o json | jq .path\n',
    )
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      const { api } = sessionOf(globals);
      const query = new URLSearchParams();
      for (const name of ['from', 'to', 'since'])
        if (options[name] !== undefined) query.set(name, options[name]);
      if (options.denied === true) query.set('denied', 'true');
      if (globals.namespaceGiven) query.set('namespace', globals.namespace);
      const paint = painter(context);
      const print = (record: AccessRecord) => {
        if (!isWanted(record, options.reporter)) return;
        context.stdout.write(
          `${globals.output === 'text' ? lineOf(record, paint) : JSON.stringify(record)}\n`,
        );
      };
      const newest = await newestRecords(api, query, Number(options.limit));
      for (const record of newest.toReversed()) print(record);
      if (options.follow !== true) return;
      query.delete('since');
      await api.watch(`/records/watch?${query}`, (event, data) => {
        if (event === 'record') print(data as AccessRecord);
      });
    });
};

// A call that reached the other sidecar is recorded there, with the verdict; one that never did only at the caller's.
function isWanted(record: AccessRecord, reporter: string): boolean {
  if (reporter === 'both') return true;
  if (reporter !== 'once') return record['reporter'] === reporter;
  return record['reporter'] !== 'source' || record['destination.id'] === null;
}

async function newestRecords(
  api: ApiClient,
  query: URLSearchParams,
  limit: number,
): Promise<readonly AccessRecord[]> {
  const records: AccessRecord[] = [];
  let cursor: string | null = null;
  while (records.length < limit) {
    const paging: string = `order=desc&limit=${Math.min(1000, limit - records.length)}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: Page<AccessRecord> = await api.call<Page<AccessRecord>>(
      'GET',
      `/records?${query}&${paging}`,
    );
    records.push(...page.items);
    cursor = page.next;
    if (cursor === null) break;
  }
  return records;
}

function lineOf(record: AccessRecord, paint: ReturnType<typeof painter>): string {
  const text = (name: string) => printable(String(record[name] ?? '-'));
  const who = `${callerOf(record)} → ${text('destination.service')}`;
  const what =
    record['kind'] === 'tcp' ? 'tcp' : `${text('method')} ${text('path')} ${text('status')}`;
  const denied = record['verdict'] === 'deny';
  const verdict = paint(denied ? 'red' : 'green', denied ? 'denied' : 'allowed');
  const why = denied ? ` ${text('reason')} ${text('denial_id')}` : ` by ${text('policy')}`;
  const duration = `${(Number(record['duration_us'] ?? 0) / 1000).toFixed(1)} ms`;
  return `${paint('dim', text('time'))} ${verdict} ${who} ${what} ${duration}${why}`;
}

function callerOf(record: AccessRecord): string {
  const id = String(record['source.id'] ?? '');
  const match = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id);
  if (match === null) return id === '' ? 'unknown' : printable(id);
  return printable(match[1] === 'default' ? (match[2] ?? '') : `${match[1]}/${match[2]}`);
}
