import { type Checkpoint, checkContinues, openCheckpoint, type WitnessRefusal } from '#audit';
import { EVENT, type Log } from '#telemetry';
import { type DsseEnvelope, decodeEnvelope, type TrustRoot } from '#trust';
import type { AuditCheckpoint, ReadLogResponse } from '#wire';
import type { StateFolder } from './state-folder.ts';

/** An agent's eye on the control plane's audit log: it keeps the newest checkpoint and takes only what continues it. */
export type AuditWatch = {
  /** The checkpoint that is kept; size 0 while there is none. */
  readonly kept: () => { readonly size: number; readonly root: string };
  /** The control plane was greeted anew: it has to show its log again. */
  readonly greeted: () => void;
  /** Takes a checkpoint from the control plane. Never rejects. */
  readonly receive: (message: AuditCheckpoint) => Promise<void>;
  /** Takes what the authority says of that log: how it stood when it was signed last, or why it is not signed any more. */
  readonly witnessed: (said: Pick<ReadLogResponse, 'auditCheckpoint' | 'auditRefused'>) => void;
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
 * checkpoint reached an agent they do not own. The authority tells agents past the control plane, so that a control plane
 * cannot go on showing an old checkpoint while the log behind it is another.
 */
export function createAuditWatch(options: AuditWatchOptions): AuditWatch {
  return new Watch(options);
}

class Watch implements AuditWatch {
  readonly #options: AuditWatchOptions;
  #kept: Checkpoint | undefined;
  #problem: string | undefined;
  /** What the authority says is wrong. */
  #refused = '';
  /** Answers of the authority in a row that were behind what is kept. */
  #olderSeen = 0;
  #greetedAt: number | undefined;
  /** A size that the authority signed and the control plane has not shown, and since when that is known. */
  #hidden: { readonly size: number; readonly since: number } | undefined;

  constructor(options: AuditWatchOptions) {
    this.#options = options;
    this.#kept = openKept(options.folder, options.trustRoot());
  }

  kept(): { size: number; root: string } {
    return { size: this.#kept?.size ?? 0, root: this.#kept?.root ?? '' };
  }

  greeted(): void {
    this.#greetedAt = this.#options.clock();
  }

  async receive({ envelope: bytes, fromSize, proof }: AuditCheckpoint): Promise<void> {
    const envelope = decodeEnvelope(bytes);
    const opened = envelope.ok
      ? openCheckpoint(envelope.value, this.#options.trustRoot())
      : envelope;
    if (!envelope.ok || !opened.ok) {
      return this.#alarm(
        'the control plane shows a checkpoint of its audit log that nobody signed',
      );
    }
    this.#greetedAt = undefined;
    const { size, root } = opened.value;
    const offered = { size, root, from: Number(fromSize), proof };
    const continues = checkContinues(this.#kept, offered);
    if (!continues.ok) return this.#contradicted(continues.error, envelope.value);
    this.#problem = undefined;
    if (this.#kept?.size === size) return undefined;
    this.#kept = opened.value;
    if (this.#hidden !== undefined && size >= this.#hidden.size) this.#hidden = undefined;
    return this.#keep(FILE, envelope.value);
  }

  witnessed({ auditCheckpoint, auditRefused }: Parameters<AuditWatch['witnessed']>[0]): void {
    if (auditRefused !== '' && auditRefused !== this.#refused) {
      this.#options.log.error(EVENT.auditBroken, { reason: auditRefused });
    }
    this.#refused = auditRefused;
    const envelope = decodeEnvelope(auditCheckpoint);
    const opened = envelope.ok
      ? openCheckpoint(envelope.value, this.#options.trustRoot())
      : envelope;
    if (!envelope.ok || !opened.ok || this.#kept === undefined) return;
    const { size, root } = opened.value;
    // One answer may be older than what the control plane showed since; a second one cannot.
    const isOlder = size < this.#kept.size;
    this.#olderSeen = isOlder ? this.#olderSeen + 1 : 0;
    const isFork = size === this.#kept.size && root !== this.#kept.root;
    if (isFork || this.#olderSeen > 1) {
      this.#alarm('the authority signed another history of the audit log than the one kept here');
      void this.#keep(CONFLICT, envelope.value);
    } else if (size > this.#kept.size) {
      this.#hidden ??= { size, since: this.#options.clock() };
    }
  }

  problem(isConnected: boolean): string | undefined {
    if (this.#problem !== undefined) return this.#problem;
    if (this.#refused !== '') {
      return `the authority does not sign the control plane's audit log: ${this.#refused}`;
    }
    if (!isConnected || this.#kept === undefined) return undefined;
    const since = this.#greetedAt ?? this.#hidden?.since;
    const isLong = since !== undefined && this.#options.clock() - since > SHOWN_WITHIN_MS;
    return isLong ? 'the control plane does not show its audit log any more' : undefined;
  }

  #contradicted(refusal: WitnessRefusal, envelope: DsseEnvelope): Promise<void> | undefined {
    if (refusal.kind === 'unproven') {
      this.#alarm('the control plane does not prove that its audit log continues as it was');
      return undefined;
    }
    this.#alarm(`the control plane's audit log was tampered with: ${refusal.message}`);
    return this.#keep(CONFLICT, envelope);
  }

  #alarm(reason: string): void {
    if (this.#problem !== reason) this.#options.log.error(EVENT.auditBroken, { reason });
    this.#problem = reason;
  }

  async #keep(name: string, envelope: DsseEnvelope): Promise<void> {
    const { folder, log } = this.#options;
    await folder.writeJson(name, envelope).catch((error: unknown) => {
      log.error(EVENT.stateWriteFailed, { file: name, error });
    });
  }
}

function openKept(folder: StateFolder, trustRoot: TrustRoot): Checkpoint | undefined {
  const opened = openCheckpoint(folder.readJson(FILE), trustRoot);
  return opened.ok ? opened.value : undefined;
}
