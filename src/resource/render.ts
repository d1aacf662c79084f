import { styleText } from 'node:util';
import type { Diagnostic } from './diagnostic.ts';

/** How diagnostics are shown. */
export type RenderOptions = {
  /** Whether the text may hold ANSI colours. */
  readonly color: boolean;
};

const TAB_WIDTH = 4;

/**
 * Diagnostics for people: what is wrong, where, the line with the place underlined, and help; a line
 * that counts them ends the text. Empty where there are none.
 */
export function renderDiagnostics(
  diagnostics: readonly Diagnostic[],
  options: RenderOptions,
): string {
  if (diagnostics.length === 0) return '';
  const paint = painter(options.color);
  const parts = diagnostics.map((diagnostic) => renderOne(diagnostic, paint));
  return `${parts.join('\n')}\n${summary(diagnostics, paint)}\n`;
}

type Style = 'error' | 'warning' | 'frame' | 'strong';
type Paint = (style: Style, text: string) => string;

function painter(color: boolean): Paint {
  if (!color) return (_style, text) => text;
  const formats = {
    error: ['bold', 'red'],
    warning: ['bold', 'yellow'],
    frame: ['bold', 'blue'],
    strong: ['bold'],
  } as const;
  return (style, text) => styleText([...formats[style]], text, { validateStream: false });
}

function renderOne(diagnostic: Diagnostic, paint: Paint): string {
  const { severity, code, message, help, file, line, column } = diagnostic;
  const number = String(line);
  const margin = ' '.repeat(number.length);
  const { before, marked, after } = shownLine(diagnostic);
  const bar = paint('frame', '|');
  const underline = `${' '.repeat(widthOf(before))}${'^'.repeat(Math.max(1, widthOf(marked)))}`;
  return [
    `${paint(severity, `${severity}[${code}]`)}${paint('strong', `: ${printable(message)}`)}`,
    `${margin}${paint('frame', '-->')} ${printable(file)}:${line}:${column}`,
    `${margin} ${bar}`,
    `${paint('frame', number)} ${bar} ${before}${marked}${after}`.trimEnd(),
    `${margin} ${bar} ${paint(severity, underline)}`,
    `${margin} ${paint('frame', '=')} ${paint('strong', 'help')}: ${printable(help)}`,
    '',
  ].join('\n');
}

/** The line as it can be printed, split around the underlined stretch. */
function shownLine(diagnostic: Diagnostic): { before: string; marked: string; after: string } {
  const { lineText, lineTextStart = 1, column, endColumn } = diagnostic;
  const from = Math.max(0, column - lineTextStart);
  const to = Math.max(from, Math.min(lineText.length, endColumn - lineTextStart));
  const start = lineTextStart > 1 ? '…' : '';
  return {
    before: start + printable(lineText.slice(0, from)),
    marked: printable(lineText.slice(from, to)),
    after: printable(lineText.slice(to)),
  };
}

/**
 * SECURITY: a file to validate may come from anybody, and its control characters would act on the
 * terminal it is shown on, as would those that turn the direction of text.
 */
function printable(text: string): string {
  return text.replaceAll('\t', ' '.repeat(TAB_WIDTH)).replaceAll(UNPRINTABLE, '\uFFFD');
}

const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028-\u202E\u2066-\u2069\u200E\u200F]/gu;

/** Columns on a terminal: East Asian characters and emoji take two, combining marks none. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/[\p{Mn}\p{Cf}]/u.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

const WIDE =
  /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/u;

function summary(diagnostics: readonly Diagnostic[], paint: Paint): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const warnings = diagnostics.length - errors;
  const files = new Set(diagnostics.map(({ file }) => file)).size;
  const counts = [
    ...(errors > 0 ? [paint('error', count(errors, 'error'))] : []),
    ...(warnings > 0 ? [paint('warning', count(warnings, 'warning'))] : []),
  ];
  return `${counts.join(', ')} in ${count(files, 'file')}`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}
