import type { Command } from 'commander';
import type { AuditEvent, ExportProof } from '#audit';
import { layoutOf, readTrustRoot, type Session } from '#client';
import type { TrustRoot } from '#trust';
import type { CommandModule } from '../../command-module.ts';
import type { CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { parseCount } from '../../flags.ts';
import { type Globals, globalsOf, sessionOf } from '../../globals.ts';
import { tellOfNothing } from '../../nothing-found.ts';
import { intoFile } from '../../out-file.ts';
import { printable, printResult } from '../../output.ts';
import { addHold } from './audit-hold.ts';
import { checkpointOf, type VerifiedAudit, verifyAudit, verifyFile } from './audit-verify.ts';
import { verifyIssuance } from './issuance-verify.ts';

/** `palisade audit verify`, `export`, `search` and `hold` */
export const register: CommandModule['register'] = (program, context) => {
  const audit = program
    .command('audit')
    .description('evidence of what was done')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade audit verify\n  $ palisade audit search --action policy --since 24h\n  $ palisade audit export --out audit.jsonl\n',
    );
  addVerify(audit, context);
  addExport(audit, context);
  addSearch(audit, context);
  addHold(audit, context);
};

type VerifyFlags = {
  readonly full?: boolean;
  readonly since?: string;
  readonly file?: string;
};

function addVerify(audit: Command, context: CliContext): void {
  audit
    .command('verify')
    .description('verifies both logs: chain, hashes, what was signed, and that they only grew')
    .option('--full', 'from the first record, not from where the last verification ended')
    .option('--since <checkpoint>', 'that it continues this one: a file, or SIZE:ROOT')
    .option('-f, --file <path>', 'an export, or the folder of the log itself, offline')
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade audit verify\n  $ palisade audit verify --since agent/audit-checkpoint.json\n  $ palisade audit verify -f audit.jsonl\n',
    )
    .action(async (flags: VerifyFlags, command: Command) => {
      const globals = globalsOf(command, context);
      if (flags.file !== undefined) {
        const trustRoot = trustRootOf(globals);
        const since = flags.since === undefined ? undefined : checkpointOf(flags.since, trustRoot);
        const control = await verifyFile(flags.file, trustRoot, since);
        printResult(context, globals.output, { control }, () => controlText(control));
        return;
      }
      const session = sessionOf(globals);
      const since =
        flags.since === undefined ? undefined : checkpointOf(flags.since, session.trustRoot);
      const isFull = flags.full === true;
      const control = await verifyAudit(session, { isFull, since });
      const issuance = await verifyIssuance(session, isFull);
      printResult(context, globals.output, { control, issuance }, () => {
        const { entries, number, hash, from } = issuance;
        return `${controlText(control)}\nissuance log: ${entries} entries after ${from} verified\nhead ${number} ${hash}, signed at ${issuance.signedAt}`;
      });
    });
}

function controlText(verified: VerifiedAudit): string {
  const { records, expired, from, size, root, checkpoint } = verified;
  const unsigned = size - (checkpoint?.size ?? 0);
  const signed =
    checkpoint === undefined
      ? 'no newer checkpoint is signed'
      : `checkpoint ${checkpoint.size}:${checkpoint.root}, signed at ${checkpoint.time}`;
  // An export by filters is no whole log: each of its records is proved by its place under the checkpoint.
  if (size === 0 && records > 0)
    return `audit log: ${records} selected records verified, each by its place under the checkpoint\n${signed}`;
  const rest =
    checkpoint !== undefined && unsigned > 0 ? `; ${unsigned} after it not signed yet` : '';
  const gone = expired === 0 ? '' : `; of ${expired} that expired, their hashes`;
  return `audit log: ${records} records from ${from} verified${gone}\nroot ${size}:${root}\n${signed}${rest}`;
}

type Filters = {
  readonly action?: string;
  readonly actor?: string;
  readonly target?: string;
  readonly result?: string;
  readonly text?: string;
  readonly since?: string;
  readonly until?: string;
};

function addFilters(command: Command): Command {
  return command
    .option('--action <action>', 'policy.commit, or policy for all that begin so', parseAction)
    .option('--actor <name>', 'part of who it was, or of the address')
    .option('--target <name>', 'part of KIND/NAME or of the namespace')
    .option('--result <result>', 'ok or refused')
    .option('--text <text>', 'anywhere in the record')
    .option('--since <time>', '24h, or an instant')
    .option('--until <time>', '1h, or an instant');
}

// People write `policy.*` for what begins with `policy`.
function parseAction(text: string): string {
  return text.replace(/\.?\*$/, '');
}

function queryOf(filters: Filters): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of ['action', 'actor', 'target', 'result', 'text', 'since', 'until'] as const) {
    const value = filters[name];
    if (value !== undefined) query.set(name, value);
  }
  return query;
}

function addExport(audit: Command, context: CliContext): void {
  addFilters(
    audit
      .command('export')
      .description("the control plane's log as OCSF API Activity, one a line, with its proof")
      .option('--out <file>', 'into this file, of mode 0600; otherwise to standard output'),
  )
    .addHelpText('after', '\nExample:\n  $ palisade audit export --out audit.jsonl\n')
    .action(async (flags: Filters & { readonly out?: string }, command: Command) => {
      const session = sessionOf(globalsOf(command, context));
      const { out } = flags;
      if (out === undefined) {
        const write = (text: string): void => void context.stdout.write(text);
        const count = await exportAll(session, queryOf(flags), write);
        if (count === 0) tellOfNothing(context, 'record of the control log', flags);
        return;
      }
      const records = await intoFile(out, (write) => exportAll(session, queryOf(flags), write));
      context.stderr.write(`${records} records in \`${out}\`\n`);
    });
}

async function exportAll(
  { api }: Session,
  query: URLSearchParams,
  write: (text: string) => void,
): Promise<number> {
  let records = 0;
  for (let next: number | null = 0; next !== null; ) {
    query.set('from', String(next));
    if (next > 0) query.set('after', String(next));
    const page = await api.callText('GET', `/audit/export?${query}`);
    const lines = page.trimEnd().split('\n');
    const proof = proofOf(lines.at(-1) ?? '');
    write(page);
    records += lines.length - 1;
    next = proof.next;
  }
  return records;
}

function proofOf(line: string): ExportProof {
  try {
    return JSON.parse(line).unmapped.palisade.proof as ExportProof;
  } catch {
    throw new ExitError(EXIT.no, 'the export has no proof at its end', 'export it again');
  }
}

function addSearch(audit: Command, context: CliContext): void {
  addFilters(
    audit
      .command('search')
      .description('records, newest first')
      .option('--log <log>', 'control or ca', 'control')
      .option('--limit <n>', 'at most so many', parseCount, 50),
  )
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade audit search --action policy.commit --since 24h\n',
    )
    .action(
      async (
        flags: Filters & { readonly log: string; readonly limit: number },
        command: Command,
      ) => {
        const globals = globalsOf(command, context);
        const { api } = sessionOf(globals);
        const query = queryOf(flags);
        query.set('log', flags.log);
        const items = await searchAll(query, flags.limit, (path) => api.call('GET', path));
        printResult(context, globals.output, items, () => items.map(eventText).join('\n'));
        if (items.length === 0)
          tellOfNothing(context, `record of the ${printable(flags.log)} log`, flags);
      },
    );
}

type SearchPage = { readonly items: readonly AuditEvent[]; readonly next_cursor: string | null };

async function searchAll(
  query: URLSearchParams,
  limit: number,
  call: (path: string) => Promise<SearchPage>,
): Promise<AuditEvent[]> {
  const items: AuditEvent[] = [];
  for (;;) {
    query.set('limit', String(Math.min(Math.max(limit - items.length, 1), 1_000)));
    const page = await call(`/audit?${query}`);
    items.push(...page.items);
    if (page.next_cursor === null || items.length >= limit) return items;
    query.set('cursor', page.next_cursor);
  }
}

function eventText(event: AuditEvent): string {
  const target = [event['target.namespace'], event['target.kind'], event['target.name']]
    .filter((part) => part !== undefined)
    .join('/');
  const ip = event['actor.ip'] === undefined ? '' : ` from ${event['actor.ip']}`;
  const reason = event.reason === undefined ? '' : `\n    ${event.reason}`;
  const diff = event.diff === undefined ? '' : `\n${indented(event.diff)}`;
  const head = `${event.index}  ${event.time}  ${event.result}  ${event.action}  ${target}  by ${event['actor.id']}${ip}`;
  // SECURITY: much of it is text of whoever asked; no byte of it may command the terminal.
  return printable(head) + reason.split('\n').map(printable).join('\n') + diff;
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `    ${printable(line)}`)
    .join('\n');
}

// Whoever verifies offline needs to know whom to believe, and nothing else of a mesh.
function trustRootOf({ dataDir }: Globals): TrustRoot {
  const trustRoot = readTrustRoot(layoutOf(dataDir));
  if (trustRoot.ok) return trustRoot.value;
  throw new ExitError(
    EXIT.usage,
    trustRoot.error,
    'put the trust-root.json of the mesh into a folder and name that with --data',
  );
}
