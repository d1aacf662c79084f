import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { SavedAlert, SavedBudgets, Silence } from '#alert';
import { fail, ok, type Result } from '#lib';

/** What alerting keeps over a restart besides silences. */
export type AlertState = {
  readonly alerts: readonly SavedAlert[];
  readonly budgets: SavedBudgets;
  /** Posture by the hour: [ms since 1970, score]. */
  readonly trend: readonly (readonly [number, number])[];
  /** When this was written; with `stopped`, by a process that ended as it was asked to. */
  readonly at: number;
  readonly stopped: boolean;
};

/** The two files of alerting: silences are written before they are answered, the rest now and then. */
export type AlertFiles = {
  readonly loadSilences: () => readonly Silence[];
  readonly saveSilences: (silences: readonly Silence[]) => Result<true, string>;
  readonly loadState: () => AlertState | undefined;
  readonly saveState: (state: AlertState) => Result<true, string>;
};

const TEXT = z.string().max(4_096);
const LABELS = z.record(TEXT, TEXT);
const SILENCES = z
  .array(
    z.object({
      id: TEXT,
      match: z.object({ id: TEXT.optional(), name: TEXT.optional(), labels: LABELS.optional() }),
      owner: TEXT,
      reason: TEXT,
      createdAt: z.number(),
      endsAt: z.number(),
    }),
  )
  .max(10_000);

const PHASE = z.enum(['pending', 'firing', 'resolved']);
const N = z.number();
// Of three in what was written before 0.2.0.
const SLOTS = z.array(z.union([z.tuple([N, N, N, N, N]), z.tuple([N, N, N])])).max(2_000);
const STATE = z.object({
  alerts: z
    .array(
      z.object({
        condition: z.looseObject({
          name: TEXT,
          labels: LABELS,
          severity: z.enum(['page', 'ticket']),
          summary: z.string(),
          evidence: z.array(z.object({ text: z.string(), link: z.string().nullable() })),
          command: z.string(),
        }),
        phase: PHASE,
        since: z.number(),
        startsAt: z.number(),
        endsAt: z.number().optional(),
        toldPhase: PHASE.optional(),
        toldAt: z.number().optional(),
      }),
    )
    .max(20_000),
  budgets: z.record(z.string(), z.object({ minutes: SLOTS, hours: SLOTS })),
  trend: z.array(z.tuple([z.number(), z.number()])).max(2_000),
  at: z.number(),
  stopped: z.boolean(),
});

/**
 * Opens the files, mode 0600. What cannot be read is told to `onError` and counts as nothing: without their silences
 * alerts call again, which is the safe side.
 */
export function openAlertFiles(
  paths: { readonly silences: string; readonly state: string },
  onError: (error: unknown) => void,
): AlertFiles {
  return {
    loadSilences: () => read(paths.silences, SILENCES, onError) ?? [],
    saveSilences: (silences) => write(paths.silences, silences),
    // Its types are those that were written; a condition of a name that is no more is left out by the book.
    loadState: () => read(paths.state, STATE, onError) as AlertState | undefined,
    saveState: (state) => write(paths.state, state),
  };
}

function read<T>(
  path: string,
  schema: z.ZodType<T>,
  onError: (error: unknown) => void,
): T | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onError(error);
    return undefined;
  }
}

/** Whole or not at all, and on the disk when it returns. */
function write(path: string, value: unknown): Result<true, string> {
  try {
    const file = openSync(`${path}.new`, 'w', 0o600);
    try {
      writeFileSync(file, JSON.stringify(value));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
    syncFolder(dirname(path));
    return ok(true);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
