import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditLog, AuditProblem, Checkpoint, OfferedTip } from '#audit';
import { fail, ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { type DsseEnvelope, decodeEnvelope } from '#trust';

/** A checkpoint that the authority signed. */
export type WitnessedCheckpoint = Checkpoint & { readonly envelope: DsseEnvelope };

/** What the authority said of a log's end. */
export type WitnessAnswer =
  | { readonly kind: 'signed'; readonly envelope: Uint8Array }
  /** It wants to be shown that the log continues what it signed last. */
  | { readonly kind: 'unproven'; readonly size: number }
  | { readonly kind: 'refused'; readonly message: string };

/** Shows the authority a log's end; rejects when it cannot be asked. */
export type AskWitness = (tip: OfferedTip & { readonly last: string }) => Promise<WitnessAnswer>;

/** The checkpoints that were signed of one log, and how it gets more of them. */
export type Checkpoints = {
  readonly newest: () => WitnessedCheckpoint | undefined;
  readonly all: () => readonly WitnessedCheckpoint[];
  /** Why the authority signs no more; undefined while it does. */
  readonly problem: () => AuditProblem | undefined;
  readonly attach: (log: AuditLog) => void;
  /** Has what is logged signed soon after, from now on. */
  readonly follow: (ask: AskWitness) => void;
  readonly sign: () => Promise<void>;
  readonly onSigned: (listener: (checkpoint: WitnessedCheckpoint) => void) => () => void;
  readonly close: () => void;
};

const FILE = 'checkpoints.jsonl';
// One signature for all that is logged within a second.
const SIGN_AFTER_MS = 500;
const RETRY_MS = 5_000;
const REFUSED_MS = 60_000;

/** Where the checkpoints lie, and how they are read. */
export type CheckpointOptions = {
  readonly folder: string;
  readonly openEnvelope: (envelope: unknown) => Result<Checkpoint, string>;
  readonly log: Log;
};

/** Opens the checkpoints in `folder`; those that do not verify are left out. */
export function openCheckpoints(options: CheckpointOptions): Checkpoints {
  return new SignedCheckpoints(options);
}

class SignedCheckpoints implements Checkpoints {
  readonly #options: CheckpointOptions;
  readonly #path: string;
  readonly #signed: WitnessedCheckpoint[];
  readonly #listeners = new Set<(checkpoint: WitnessedCheckpoint) => void>();
  #audit: AuditLog | undefined;
  #ask: AskWitness | undefined;
  #problem: AuditProblem | undefined;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: CheckpointOptions) {
    this.#options = options;
    this.#path = join(options.folder, FILE);
    this.#signed = readSigned(this.#path, options.openEnvelope);
  }

  newest(): WitnessedCheckpoint | undefined {
    return this.#signed.at(-1);
  }

  all(): readonly WitnessedCheckpoint[] {
    return this.#signed;
  }

  problem(): AuditProblem | undefined {
    return this.#problem;
  }

  attach(audit: AuditLog): void {
    this.#audit = audit;
    audit.onEvent(() => this.#later(SIGN_AFTER_MS));
  }

  follow(ask: AskWitness): void {
    this.#ask = ask;
    this.#later(SIGN_AFTER_MS);
  }

  sign(): Promise<void> {
    this.#asking ??= this.#signUnlessSigned().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  onSigned(listener: (checkpoint: WitnessedCheckpoint) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #later(ms: number): void {
    if (this.#isClosed || this.#timer !== undefined || this.#ask === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.sign();
    }, ms);
    this.#timer.unref();
  }

  async #signUnlessSigned(): Promise<void> {
    const audit = this.#audit;
    const ask = this.#ask;
    if (audit === undefined || ask === undefined || this.#isClosed) return;
    if (this.newest()?.size === audit.head().size) return;
    const { log } = this.#options;
    try {
      const one = await this.#show(audit, ask);
      if (!one.ok) {
        log.error(EVENT.auditNotSigned, { reason: one.error });
        this.#later(REFUSED_MS);
        return;
      }
      for (const listener of Array.from(this.#listeners)) listener(one.value);
    } catch (error) {
      log.debug(EVENT.auditNotSigned, { error });
      this.#later(RETRY_MS);
      return;
    }
    if (this.newest()?.size !== audit.head().size) this.#later(SIGN_AFTER_MS);
  }

  // The authority may have signed more than this folder knows of, once: it says from where it wants to be shown.
  async #show(audit: AuditLog, ask: AskWitness): Promise<Result<WitnessedCheckpoint, string>> {
    const tip = audit.head();
    let from = this.newest()?.size ?? 0;
    for (let attempt = 0; attempt < 2; attempt++) {
      const isProvable = from > 0 && from < tip.size;
      const proof = isProvable ? audit.leaves.consistency(from, tip.size) : [];
      const answer = await ask({ ...tip, from, proof });
      if (answer.kind === 'signed') return this.#take(answer.envelope);
      if (answer.kind === 'refused') {
        this.#problem = { index: Math.min(from, tip.size), message: answer.message };
        return fail(answer.message);
      }
      from = answer.size;
    }
    return fail('the authority changes its mind');
  }

  #take(bytes: Uint8Array): Result<WitnessedCheckpoint, string> {
    const envelope = decodeEnvelope(bytes);
    if (!envelope.ok) return fail(envelope.error.message);
    const opened = this.#options.openEnvelope(envelope.value);
    if (!opened.ok) return opened;
    // What the disk does not take is signed again with the next record.
    appendFileSync(this.#path, `${JSON.stringify(envelope.value)}\n`, { mode: 0o600 });
    const one = { ...opened.value, envelope: envelope.value };
    this.#signed.push(one);
    this.#problem = undefined;
    return ok(one);
  }
}

function readSigned(
  path: string,
  openEnvelope: (envelope: unknown) => Result<Checkpoint, string>,
): WitnessedCheckpoint[] {
  if (!existsSync(path)) {
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    return [];
  }
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const envelope = decodeEnvelope(Buffer.from(line));
      if (!envelope.ok) return [];
      const opened = openEnvelope(envelope.value);
      return opened.ok ? [{ ...opened.value, envelope: envelope.value }] : [];
    });
}
