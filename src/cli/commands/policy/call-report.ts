import type { ChangedCalls, RecordedChange, ServiceCallDiff, Verdict } from '#compile';
import { type painter, printable } from '../../output.ts';

/** Which calls a change of policy decides otherwise: by the rules themselves, and of those recorded. */
export type CallReport = {
  readonly services: readonly ServiceCallDiff[];
  readonly recorded: readonly RecordedChange[];
};

const MOST_LINES = 50;

/** The report for people. */
export function callLines(
  { services, recorded }: CallReport,
  since: string,
  paint: ReturnType<typeof painter>,
): readonly string[] {
  const changes = services.flatMap(({ changes: of }) => of);
  const unproven = services.filter(({ unproven: why }) => why.length > 0);
  const lines = changes.map((change) => changeLine(change, paint));
  const head =
    changes.length === 0
      ? unproven.length === 0
        ? 'no call changes its verdict'
        : 'no call is known to change its verdict'
      : 'calls that change their verdict:';
  const seen = recorded.map(
    ({ caller, service, method, path, port, count, before, after }) =>
      `  ${verdicts(before, after, paint)}  ${printable(`${count} × ${caller} → ${service} ${method ?? `port ${port}`} ${path ?? ''}`)}`,
  );
  return [
    head,
    ...bounded(lines),
    ...unproven.map(
      ({ service, unproven: why }) =>
        `${paint('yellow', 'not proven complete')} for ${service}: ${why.join(', ')}`,
    ),
    seen.length === 0
      ? `of the calls recorded in the last ${since}, none would change`
      : `of the calls recorded in the last ${since}, these would change:`,
    ...bounded(seen),
  ];
}

function changeLine(change: ChangedCalls, paint: ReturnType<typeof painter>): string {
  const { callers, service, methods, paths, hosts, ports, before, after } = change;
  const what =
    methods.length === 0 ? 'connections' : `${list(methods, 'method')} ${list(paths, 'path')}`;
  const host = hosts.length === 0 || hosts.includes('any other') ? '' : ` host ${hosts.join(', ')}`;
  const extra = change.with.every((one) => one === '')
    ? ''
    : ` with ${change.with.map((one) => one || 'neither header nor token').join(' | ')}`;
  const by = after.policy ?? before.policy;
  const why = by === undefined ? after.reason : `by ${by}`;
  return `  ${verdicts(before, after, paint)}  ${printable(`${callers.join(', ')} → ${service}:${ports.join(',')} ${what}${host}${extra}`)}  (${why})`;
}

function list(values: readonly string[], noun: string): string {
  return values.length === 1 && values[0] === 'any other' ? `any ${noun}` : values.join(', ');
}

function verdicts(before: Verdict, after: Verdict, paint: ReturnType<typeof painter>): string {
  const style = after.verdict === 'allow' ? 'green' : 'red';
  return paint(style, `${before.verdict} → ${after.verdict}`);
}

function bounded(lines: readonly string[]): readonly string[] {
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, MOST_LINES), `  and ${lines.length - MOST_LINES} more: see -o json`];
}
