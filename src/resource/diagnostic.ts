import type { DiagnosticCode } from './errors.ts';

/** A place in an authored file; line and column are 1-based, columns count UTF-16 units. */
export type SourcePosition = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
};

/** A stretch of one authored line, with the line itself so that it can be shown. */
export type SourceSpan = SourcePosition & {
  /** The column after the stretch's last character; greater than `column`. */
  readonly endColumn: number;
  /** The line without its end, or the part of a very long line around the stretch. */
  readonly lineText: string;
  /** The column of the first character of `lineText`; absent when it is 1. */
  readonly lineTextStart?: number;
};

/** One problem of one authored file: what is wrong, where, and what to do about it. */
export type Diagnostic = SourceSpan & {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly help: string;
};

/** A half-open stretch of a text in UTF-16 units, as offsets. */
export type Range = readonly [start: number, end: number];

/** A problem before it is known where it is. */
export type Problem = {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly help: string;
};

/** Collects the problems of one file; every reader reports here and goes on. */
export type Report = {
  readonly error: (at: Range, problem: Problem) => void;
  readonly warn: (at: Range, problem: Problem) => void;
  readonly errorCount: () => number;
};
