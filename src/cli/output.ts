import { styleText } from 'node:util';
import { stringify } from 'yaml';
import type { CliContext, OutputFormat } from './context.ts';

/** Prints `value` as JSON or YAML, or what `text` makes of it. */
export function printResult(
  context: CliContext,
  format: OutputFormat,
  value: unknown,
  text: () => string,
): void {
  if (format === 'json') context.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === 'yaml')
    context.stdout.write(stringify(value, { aliasDuplicateObjects: false }));
  else context.stdout.write(endWithNewline(text()));
}

/** Whether to colour: a terminal, and neither `NO_COLOR` nor a dumb one. */
export function wantsColor(context: CliContext, stream: { readonly isTTY?: boolean }): boolean {
  const { env } = context;
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** A function that colours for standard output, or leaves the text alone. */
export function painter(
  context: CliContext,
): (style: 'red' | 'green' | 'yellow' | 'dim' | 'bold', text: string) => string {
  const color = wantsColor(context, context.stdout);
  return (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
}

/** Columns aligned by their widest cell; the first row is the header. An empty cell prints as `-`. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries())
      widths[i] = Math.max(widths[i] ?? 0, visibleLength(cell || '-'));
  }
  const line = (row: readonly string[]) =>
    row.map((cell, i) => pad(cell || '-', i === row.length - 1 ? 0 : (widths[i] ?? 0))).join('   ');
  return rows.map(line).join('\n');
}

/** `14s`, `3m`, `2h`, `5d`: the age of an ISO time, or the time left when it lies ahead. */
export function age(iso: string | null | undefined, nowMs: number): string {
  if (iso === null || iso === undefined) return '-';
  const seconds = Math.round(Math.abs(nowMs - Date.parse(iso)) / 1000);
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

// Text of other people (paths, names, messages) goes to a terminal: no byte of it may command that terminal.
/** Replaces control characters, so that hostile record fields cannot move the cursor or hide lines. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}

function visibleLength(text: string): number {
  // oxlint-disable-next-line no-control-regex -- our own colour codes take no width
  return text.replaceAll(/\u001b\[\d+m/g, '').length;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - visibleLength(text)));
}

function endWithNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
