import type { AccessRecord, MissingRecords } from '../../api-types.ts';
import type { CliContext } from '../../context.ts';
import { grpcName } from '../../grpc-codes.ts';
import { type painter, printable } from '../../output.ts';

/** One call in a line. */
export function recordLine(record: AccessRecord, paint: ReturnType<typeof painter>): string {
  const text = (name: string) => printable(String(record[name] ?? '-'));
  const who = `${callerOf(record)} → ${text('destination.service')}`;
  const what =
    record['kind'] === 'tcp'
      ? 'tcp'
      : `${text('method')} ${text('path')} ${text('status')}${grpcOf(record)}`;
  const denied = record['verdict'] === 'deny';
  const verdict = paint(denied ? 'red' : 'green', denied ? 'denied' : 'allowed');
  const why = denied ? ` ${text('reason')} ${text('denial_id')}` : ` by ${text('policy')}`;
  return `${paint('dim', text('time'))} ${verdict} ${who} ${what} ${milliseconds(record['duration_us'])}${how(record)}${why}`;
}

// Whether it was encrypted, and whether the caller proved who it is. Of a call that reached nobody there is nothing to say.
function how(record: AccessRecord): string {
  const isReached = record['reporter'] !== 'source' || record['destination.id'] !== null;
  if ((record['tls.version'] ?? null) !== null) return record['source.id'] ? ' mTLS' : ' TLS';
  return isReached ? ' plaintext' : '';
}

function grpcOf(record: AccessRecord): string {
  const status = record['grpc_status'];
  return typeof status === 'number' ? ` ${grpcName(status)}` : '';
}

/** `1.2 ms` */
export function milliseconds(us: unknown): string {
  return `${(Number(us ?? 0) / 1000).toFixed(1)} ms`;
}

function callerOf(record: AccessRecord): string {
  const id = String(record['source.id'] ?? '');
  const match = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id);
  if (match === null) return id === '' ? 'unknown' : printable(id);
  return printable(match[1] === 'default' ? (match[2] ?? '') : `${match[1]}/${match[2]}`);
}

const MAX_SHOWN = 20;

/** Says on standard error what is not among the records, so that pipes get records alone. */
export function complainOfMissing(
  context: CliContext,
  missing: readonly MissingRecords[] | undefined,
): void {
  for (const { source, from, until, count, why } of missing?.slice(0, MAX_SHOWN) ?? []) {
    const when = `${from.slice(0, 16)}–${until.slice(11, 16)}`;
    const what = count === 0 ? 'some' : String(count);
    context.stderr.write(`missing: ${what} of ${printable(source)}, ${when}: ${printable(why)}\n`);
  }
  const more = (missing?.length ?? 0) - MAX_SHOWN;
  if (more > 0) context.stderr.write(`missing: and ${more} more, see /api/v1/completeness\n`);
}
