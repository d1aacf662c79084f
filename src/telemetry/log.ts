import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { redactText } from '#lib';

/** Severity, least first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** What varies in a log line. An `error` field is written as its message, causes joined by colons. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log for one part of a process: a constant event (of `names.ts`) plus fields. */
export type Log = {
  readonly debug: (event: string, fields?: LogFields) => void;
  readonly info: (event: string, fields?: LogFields) => void;
  readonly warn: (event: string, fields?: LogFields) => void;
  readonly error: (event: string, fields?: LogFields) => void;
  readonly child: (fields: LogFields) => Log;
};

/** Options of `createLog`. */
export type LogOptions = {
  readonly name: string;
  readonly level?: LogLevel;
  /** Default: standard error, so that a command's output stays its own. */
  readonly destination?: { readonly write: (line: string) => void };
  /** Unix milliseconds, for the bound on repetitions. */
  readonly clock?: () => number;
};

// Fields that could hold secrets, wherever they came from.
const SECRET = /token|secret|password|privatekey|authorization|cookie/i;
// oxlint-disable-next-line no-control-regex -- control characters are what this finds
const UNSAFE = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const MAX_DEPTH = 4;
// SECURITY: garbage on a port must not fill the disk; so many lines of one event pass in a window.
const MAX_PER_WINDOW = 20;
const WINDOW_MS = 10_000;

/** Creates a process's log: JSON lines; repeated warnings are bounded and what was left out is counted. */
export function createLog(options: LogOptions): Log {
  const target = options.destination ?? destination({ dest: 2, sync: true });
  const logger = pino(
    {
      base: { name: options.name },
      level: options.level ?? 'info',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    target as DestinationStream,
  );
  return wrap(logger, createRepetitionBound(options.clock ?? Date.now));
}

/** A log that keeps nothing, for tests and embedding. */
export function createSilentLog(): Log {
  return createLog({ name: 'silent', level: 'silent', destination: { write: () => {} } });
}

type RepetitionBound = (event: string) => { readonly pass: boolean; readonly suppressed: number };

function wrap(logger: Logger, bound: RepetitionBound): Log {
  const emit = (level: 'warn' | 'error', event: string, fields?: LogFields) => {
    const { pass, suppressed } = bound(event);
    if (!pass) return;
    const shown = printable(fields);
    logger[level](suppressed > 0 ? { ...shown, suppressed } : shown, event);
  };
  return {
    debug: (event, fields) => logger.debug(printable(fields), event),
    info: (event, fields) => logger.info(printable(fields), event),
    warn: (event, fields) => emit('warn', event, fields),
    error: (event, fields) => emit('error', event, fields),
    child: (fields) => wrap(logger.child(printable(fields)), bound),
  };
}

function createRepetitionBound(clock: () => number): RepetitionBound {
  const windows = new Map<string, { since: number; count: number; suppressed: number }>();
  return (event) => {
    const now = clock();
    const window = windows.get(event);
    if (window === undefined || Math.abs(now - window.since) >= WINDOW_MS) {
      windows.set(event, { since: now, count: 1, suppressed: 0 });
      return { pass: true, suppressed: window?.suppressed ?? 0 };
    }
    window.count++;
    if (window.count <= MAX_PER_WINDOW) return { pass: true, suppressed: 0 };
    window.suppressed++;
    return { pass: false, suppressed: 0 };
  };
}

function printable(fields: LogFields | undefined): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields ?? {})) {
    shown[key] = SECRET.test(key) ? '[redacted]' : printableValue(value, MAX_DEPTH);
  }
  return shown;
}

function printableValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return printableText(value);
  if (value instanceof Error) return printableText(messageOf(value));
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '[…]';
  if (Array.isArray(value)) return value.map((item: unknown) => printableValue(item, depth - 1));
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    SECRET.test(key) ? '[redacted]' : printableValue(item, depth - 1),
  ]);
  return Object.fromEntries(entries);
}

/**
 * SECURITY: texts of errors quote URLs, headers and names that others chose. JSON leaves the control characters of
 * C1 and the line separators as they are, and terminals and line-wise readers obey them.
 */
function printableText(text: string): string {
  return redactText(text).replaceAll(UNSAFE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function messageOf(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${messageOf(error.cause)}` : '';
  return `${error.message}${cause}`;
}
