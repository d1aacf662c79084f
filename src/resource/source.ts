import type { Diagnostic, Problem, Range, Report, SourceSpan } from './diagnostic.ts';

// A file that is one line of minified JSON must not put megabytes into each diagnostic.
const MAX_LINE_TEXT = 400;
const CONTEXT_BEFORE = 80;
const MAX_PROBLEMS_PER_FILE = 500;

/** An authored file whose offsets can be turned into lines and columns. */
export type Source = {
  readonly file: string;
  /** The text without a leading byte order mark. */
  readonly text: string;
  readonly span: (at: Range) => SourceSpan;
};

/** Indexes the lines of a file. */
export function createSource(file: string, rawText: string): Source {
  const text = rawText.startsWith('\uFEFF') ? rawText.slice(1) : rawText;
  let starts: readonly number[] | undefined;
  return {
    file,
    text,
    span(at) {
      starts ??= lineStarts(text);
      return spanOf({ file, text, starts, at });
    },
  };
}

/** Compares diagnostics of one file by their place. */
export function bySourceOrder(a: Diagnostic, b: Diagnostic): number {
  return a.line - b.line || a.column - b.column;
}

/** A report that appends to `diagnostics`, up to a bound that the last entry names. */
export function createReport(source: Source, diagnostics: Diagnostic[]): Report {
  let errors = 0;
  let listed = 0;
  const add = (severity: Diagnostic['severity'], at: Range, problem: Problem) => {
    if (severity === 'error') errors++;
    listed++;
    if (listed > MAX_PROBLEMS_PER_FILE + 1) return;
    const shown = listed > MAX_PROBLEMS_PER_FILE ? tooManyProblems() : problem;
    diagnostics.push({ severity, ...shown, ...source.span(at) });
  };
  return {
    error: (at, problem) => add('error', at, problem),
    warn: (at, problem) => add('warning', at, problem),
    errorCount: () => errors,
  };
}

function tooManyProblems(): Problem {
  return {
    code: 'too_many_problems',
    message: `more than ${MAX_PROBLEMS_PER_FILE} problems in this file, the rest is not listed`,
    help: 'correct those above and validate again',
  };
}

function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function spanOf(options: {
  readonly file: string;
  readonly text: string;
  readonly starts: readonly number[];
  readonly at: Range;
}): SourceSpan {
  const { file, text, starts } = options;
  const offset = Math.max(0, Math.min(options.at[0], text.length));
  const index = lineIndex(starts, offset);
  const lineStart = starts[index] ?? 0;
  const lineEnd = endOfLine(text, starts[index + 1]);
  const column = Math.min(offset, lineEnd) - lineStart + 1;
  // A stretch over several lines is shown up to the end of its first.
  const endColumn = Math.max(column + 1, Math.min(options.at[1], lineEnd) - lineStart + 1);
  const from = lineEnd - lineStart <= MAX_LINE_TEXT ? 0 : Math.max(0, column - 1 - CONTEXT_BEFORE);
  const lineText = text.slice(
    lineStart + from,
    Math.min(lineEnd, lineStart + from + MAX_LINE_TEXT),
  );
  const span = { file, line: index + 1, column, endColumn, lineText };
  return from === 0 ? span : { ...span, lineTextStart: from + 1 };
}

/** The index of the last line that starts at or before `offset`. */
function lineIndex(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function endOfLine(text: string, nextStart: number | undefined): number {
  if (nextStart === undefined) return text.length;
  return text[nextStart - 2] === '\r' ? nextStart - 2 : nextStart - 1;
}
