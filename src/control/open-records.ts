import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseDuration } from '#lib';
import { openPostgresStore, openThreadedStore, type RecordStore } from '#record-store';
import { EVENT, type Log } from '#telemetry';

const FILE = 'record-store.json';
const GIB = 1024 ** 3;
const DAY_MS = 86_400_000;

const Settings = z.strictObject({
  /** `postgres://…`; absent: files in this folder. */
  postgres: z.string().startsWith('postgres').optional(),
  maxBytes: z
    .number()
    .int()
    .min(16 * 1024 * 1024)
    .optional(),
  maxAge: z.string().optional(),
});

/**
 * Opens the records of a control plane as `record-store.json` in its folder says: in files beside it, for seven days
 * and up to 1 GiB, unless it names a PostgreSQL. Rejects, naming the file, where it says what cannot be.
 */
export async function openRecords(folder: string, log: Log): Promise<RecordStore> {
  const { postgres, maxBytes = GIB, maxAge = '7d' } = readSettings(join(folder, FILE));
  const age = parseDuration(maxAge);
  if (!age.ok || age.value < DAY_MS)
    throw new Error(`\`${FILE}\`: \`maxAge\` is a duration from 1d`);
  const bounds = { maxBytes, maxAgeMs: age.value };
  if (postgres !== undefined) {
    try {
      return await openPostgresStore({ url: postgres, bounds });
    } catch (error) {
      // SECURITY: the address holds a password, which the error itself may carry along.
      // oxlint-disable-next-line preserve-caught-error -- see above: only its words are safe to show
      throw new Error(`the PostgreSQL of \`${FILE}\` cannot be used: ${(error as Error).message}`);
    }
  }
  return openThreadedStore({
    folder: join(folder, 'records'),
    bounds,
    importFrom: join(folder, 'records.db'),
    onLost: (reason) => log.error(EVENT.recordsNotStored, { reason }),
  });
}

function readSettings(path: string): z.infer<typeof Settings> {
  if (!existsSync(path)) return {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`\`${FILE}\` is no JSON`, { cause: error });
  }
  const parsed = Settings.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`\`${FILE}\`: \`${issue?.path.join('.') ?? ''}\`: ${issue?.message ?? ''}`);
}
