import { type Checkpoint, checkContinues, openCheckpoint } from '#audit';
import { EVENT, type Log } from '#telemetry';
import { type DsseEnvelope, decodeEnvelope, type TrustRoot } from '#trust';
import type { AuditCheckpoint } from '#wire';
import type { StateFolder } from './state-folder.ts';

/** An agent's eye on the control plane's audit log: it keeps the newest checkpoint and takes only what continues it. */
export type AuditWatch = {
  /** The checkpoint that is kept; size 0 while there is none. */
  readonly kept: () => { readonly size: number; readonly root: string };
  /** The control plane was greeted anew: it has to show its log again. */
  readonly greeted: () => void;
  /** Takes a checkpoint from the control plane. Never rejects. */
  readonly receive: (message: AuditCheckpoint) => Promise<void>;
  /** What is wrong with the log, in words; undefined while nothing is known to be. */
  readonly problem: (isConnected: boolean) => string | undefined;
};

/** What watching takes. */
export type AuditWatchOptions = {
  readonly folder: StateFolder;
  readonly trustRoot: () => TrustRoot;
  readonly clock: () => number;
  readonly log: Log;
};

const FILE = 'audit-checkpoint.json';
// What contradicts the checkpoint that is kept: two signed envelopes are evidence that anyone can check.
const CONFLICT = 'audit-conflict.json';
// Long enough for a control plane that is busy starting.
const SHOWN_WITHIN_MS = 60_000;

/**
 * Opens the watch with the checkpoint of earlier runs.
 * SECURITY: whoever owns the control plane, even together with the authority, cannot rewrite what was logged before a
 * checkpoint reached an agent they do not own.
 */
export function createAuditWatch(options: AuditWatchOptions): AuditWatch {
  const { folder, trustRoot, clock, log } = options;
  let kept = openKept(folder, trustRoot());
  let problem: string | undefined;
  let greetedAt: number | undefined;

  function alarm(reason: string): void {
    if (problem !== reason) log.error(EVENT.auditBroken, { reason });
    problem = reason;
  }

  async function keep(name: string, envelope: DsseEnvelope): Promise<void> {
    await folder.writeJson(name, envelope).catch((error: unknown) => {
      log.error(EVENT.stateWriteFailed, { file: name, error });
    });
  }

  return {
    kept: () => ({ size: kept?.size ?? 0, root: kept?.root ?? '' }),
    greeted() {
      greetedAt = clock();
    },
    async receive({ envelope: bytes, fromSize, proof }) {
      const envelope = decodeEnvelope(bytes);
      const opened = envelope.ok ? openCheckpoint(envelope.value, trustRoot()) : undefined;
      if (!envelope.ok || opened?.ok !== true) {
        return alarm('the control plane shows a checkpoint of its audit log that nobody signed');
      }
      greetedAt = undefined;
      const { size, root } = opened.value;
      const continues = checkContinues(kept, { size, root, from: Number(fromSize), proof });
      if (continues.ok) {
        problem = undefined;
        if (kept?.size === size) return undefined;
        kept = opened.value;
        return keep(FILE, envelope.value);
      }
      const { error } = continues;
      if (error.kind === 'unproven') {
        return alarm('the control plane does not prove that its audit log continues as it was');
      }
      alarm(`the control plane's audit log was tampered with: ${error.message}`);
      return keep(CONFLICT, envelope.value);
    },
    problem(isConnected) {
      if (problem !== undefined) return problem;
      const isHidden =
        isConnected &&
        kept !== undefined &&
        greetedAt !== undefined &&
        clock() - greetedAt > SHOWN_WITHIN_MS;
      return isHidden ? 'the control plane does not show its audit log any more' : undefined;
    },
  };
}

function openKept(folder: StateFolder, trustRoot: TrustRoot): Checkpoint | undefined {
  const opened = openCheckpoint(folder.readJson(FILE), trustRoot);
  return opened.ok ? opened.value : undefined;
}
