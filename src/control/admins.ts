import { hash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import { EVENT, type Log } from '#telemetry';

/** Who may use the API: names by the SHA-256 fingerprints of their client certificates. */
export type Admins = {
  /** The admin who proved to hold this certificate (DER), if it is one's. */
  readonly identify: (certificateDer: Uint8Array) => Admin | undefined;
};

/** Who may use the API; `readOnly`, for example a Prometheus that scrapes it, may change nothing. */
export type Admin = {
  readonly name: string;
  readonly readOnly: boolean;
  readonly fingerprint: Buffer;
};

const LIST = z
  .array(
    z.strictObject({
      name: z.string().min(1).max(200),
      fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
      readOnly: z.boolean().default(false),
    }),
  )
  .max(10_000);

const RECHECK_MS = 1_000;

/** Reads the list of `file`, and again whenever it changed; throws if there is none to begin with. */
export function openAdmins(file: string, clock: () => number, log: Log): Admins {
  let admins = read(file);
  let version = versionOf(file);
  let checkedAt = clock();

  function refresh(): void {
    const now = clock();
    if (Math.abs(now - checkedAt) < RECHECK_MS) return;
    checkedAt = now;
    const next = versionOf(file);
    if (next === version) return;
    try {
      admins = read(file);
      version = next;
    } catch (error) {
      log.error(EVENT.adminsUnreadable, { file, error });
    }
  }

  return {
    identify(certificateDer) {
      refresh();
      const fingerprint = hash('sha256', certificateDer, 'buffer');
      let found: Admin | undefined;
      // SECURITY: all are compared, in constant time, so that no answer is faster than another.
      for (const admin of admins) {
        if (timingSafeEqual(admin.fingerprint, fingerprint)) found = admin;
      }
      return found;
    },
  };
}

function read(file: string): readonly Admin[] {
  const parsed = LIST.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success) {
    throw new Error(
      `\`${file}\` is not a list of admins, each with a name and a SHA-256 fingerprint`,
    );
  }
  return parsed.data.map(({ name, readOnly, fingerprint }) => ({
    name,
    readOnly,
    fingerprint: Buffer.from(fingerprint, 'hex'),
  }));
}

function versionOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    // A list that vanished stays as it was read until there is one again.
    return 'none';
  }
}
