import { isDeepStrictEqual } from 'node:util';
import { fail, ok, type Result } from '#lib';
import type { DsseEnvelope } from '#trust';
import { isHash, isSize, openCheckpoint } from './checkpoint.ts';
import { type AuditEvent, bodyOfEvent, hashOfBody, lineOf, TAIL_BYTES } from './event.ts';
import { OCSF_VERSION, ocsfOfAudit } from './ocsf.ts';
import { type AuditProblem, SEGMENT_RECORDS } from './segment.ts';
import { Frontier, isConsistent, rootFromInclusion, type TreeHead } from './tree.ts';

/** What an export's last line proves, and how: the records before it are in the log that was signed. */
export type ExportProof = {
  readonly log: string;
  /** Index of the first record if they are all there is from there on; `frontier` and `previous` are as of before it. */
  readonly first: number;
  readonly previous: string;
  readonly frontier: readonly string[];
  /** Where whole segments before `first` expired: that the tree up to there continues that of `from` records. */
  readonly gap?: { readonly from: number; readonly proof: readonly string[] };
  /** Whether records were left out by a filter: then each has a path of its own. */
  readonly partial: boolean;
  /** The signed checkpoint; null while the authority has not signed one. */
  readonly checkpoint: DsseEnvelope | null;
  /** Where the next page of the export begins; null: this is all. */
  readonly next: number | null;
};

type About = { readonly log: string; readonly version: string };

/** A record as a line of an export: OCSF, with the record as it was logged in `raw_data`. */
export function exportLine(event: AuditEvent, about: About, inclusion?: readonly string[]): string {
  const text = lineOf(bodyOfEvent(event), event.hash).trimEnd();
  return `${JSON.stringify(shownAs(event, { ...about, text, inclusion }))}\n`;
}

type Logged = { readonly text: string; readonly inclusion: readonly string[] | undefined };

function shownAs(event: AuditEvent, about: About & Logged): Record<string, unknown> {
  const { text, inclusion } = about;
  const ocsf = ocsfOfAudit(event, about);
  const unmapped = ocsf['unmapped'] as { palisade: Record<string, unknown> };
  if (inclusion !== undefined) unmapped.palisade['inclusion'] = inclusion;
  return { ...ocsf, raw_data: text };
}

/** The last line of an export: an event of its own, which carries the proof. */
export function proofLine(proof: ExportProof, about: About & { readonly timeMs: number }): string {
  return `${JSON.stringify({
    activity_id: 2,
    category_uid: 6,
    class_uid: 6003,
    type_uid: 600_302,
    time: about.timeMs,
    severity_id: 1,
    status_id: 1,
    message: 'proof of the audit records before this line',
    actor: { app_name: 'palisade' },
    api: { operation: 'export.audit', service: { name: `palisade ${about.log}` } },
    src_endpoint: { name: 'palisade control' },
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'Palisade', vendor_name: 'Palisade', version: about.version },
      log_name: `audit-${about.log}`,
    },
    unmapped: { palisade: { proof } },
  })}\n`;
}

/** What an export turned out to prove. */
export type VerifiedExport = TreeHead & {
  readonly log: string;
  readonly first: number;
  /** Records that were read. */
  readonly records: number;
  /** Records whose text is no longer kept, but whose hashes are in the tree. */
  readonly expired: number;
  readonly last: string;
  /** The newest signed checkpoint that covers them; undefined if there is none. */
  readonly checkpoint: (TreeHead & { readonly last: string; readonly time: string }) | undefined;
};

/** By whom checkpoints must be signed, and what is known from before. */
export type ExportTrust = {
  readonly issuanceLogKey: string;
  readonly trustDomain: string;
  /** An old checkpoint that the records must continue. */
  readonly since?: TreeHead | undefined;
};

type RecordLine = {
  readonly kind: 'record';
  /** As it was logged. */
  readonly text: string;
  readonly previous: string;
  readonly inclusion: readonly string[] | undefined;
  /** The whole line, as whoever reads OCSF takes it. */
  readonly shown: unknown;
};

type Signed = NonNullable<VerifiedExport['checkpoint']>;

/** Takes the lines of an export, one page after the other, and says in the end what they prove. */
export class ExportVerifier {
  readonly #trust: ExportTrust;
  #lines: RecordLine[] = [];
  #frontier: Frontier | undefined;
  #first = 0;
  #last = '';
  #records = 0;
  #expired = 0;
  #log = '';
  #isPartial = false;
  #checkpoint: Signed | undefined;
  /** Signed sizes that the tree has not reached yet. */
  readonly #ahead = new Map<number, Signed>();
  #isSinceSeen: boolean;

  constructor(trust: ExportTrust) {
    this.#trust = trust;
    this.#isSinceSeen = trust.since === undefined;
  }

  /** Takes a line. Returns the page's proof where it was the last of one. */
  take(line: string): Result<ExportProof | undefined, AuditProblem> {
    const parsed = parseLine(line);
    if (parsed === undefined) return this.#bad('a line of the export is damaged');
    if (parsed.kind === 'proof') return this.#takePage(parsed);
    this.#lines.push(parsed);
    return ok(undefined);
  }

  /** What the lines taken prove together. */
  finish(): Result<VerifiedExport, AuditProblem> {
    const frontier = this.#frontier;
    if (this.#lines.length > 0 || frontier === undefined) {
      return this.#bad('the export is cut off: its last line proves nothing');
    }
    const { since } = this.#trust;
    if (!this.#isPartial) {
      const signed = Math.max(0, ...this.#ahead.keys());
      const known = this.#isSinceSeen ? 0 : (since?.size ?? 0);
      const most = Math.max(signed, known);
      if (most > frontier.size) {
        // What the export itself brings was signed when it was made; a checkpoint from elsewhere may be younger.
        const older = signed > frontier.size ? '' : ', or this was exported before them';
        const message = `records ${frontier.size} to ${most - 1} are missing, though they were signed: the log was rolled back or cut off${older}`;
        return fail({ index: frontier.size, message });
      }
      if (!this.#isSinceSeen) {
        return this.#bad('the export begins after the checkpoint that it is to continue');
      }
    }
    return ok({
      log: this.#log,
      first: this.#first,
      records: this.#records,
      expired: this.#expired,
      size: frontier.size,
      root: frontier.root(),
      last: this.#last,
      checkpoint: this.#checkpoint,
    });
  }

  #bad(message: string): Result<never, AuditProblem> {
    return fail({ index: (this.#frontier?.size ?? 0) + this.#lines.length, message });
  }

  #takePage({ proof, version }: ProofLine): Result<ExportProof, AuditProblem> {
    const lines = this.#lines;
    this.#lines = [];
    const frontier = this.#begin(proof);
    if (!frontier.ok) return frontier;
    const signed = this.#openSigned(proof);
    if (!signed.ok) return signed;
    if (signed.value !== undefined) this.#ahead.set(signed.value.size, signed.value);
    const met = this.#meet(frontier.value);
    if (met !== undefined) return met;
    for (const line of lines) {
      const taken = proof.partial
        ? this.#takeProven(line, signed.value)
        : this.#takeNext(line, frontier.value);
      if (!taken.ok) return taken;
      const inclusion = proof.partial ? line.inclusion : undefined;
      if (!showsRecord({ ...line, inclusion }, { log: proof.log, version })) {
        const index = indexOf(line.text) ?? this.#records;
        return fail({ index, message: 'the event says something else than its record' });
      }
      this.#records += 1;
    }
    return ok(proof);
  }

  #begin(proof: ExportProof): Result<Frontier, AuditProblem> {
    this.#isPartial ||= proof.partial;
    const before = this.#frontier;
    if (before !== undefined && (proof.partial || proof.first === before.size)) return ok(before);
    const frontier = frontierOf(proof);
    if (frontier === undefined) return this.#bad('the proof is malformed');
    const { since } = this.#trust;
    const known = before === undefined ? since : { size: before.size, root: before.root() };
    if (known !== undefined && known.size < proof.first && !proof.partial) {
      const problem = this.#skip(known, frontier, proof);
      if (problem !== undefined) return problem;
    } else if (before !== undefined) {
      return this.#bad('the next page does not continue the one before');
    }
    if (before === undefined) {
      this.#log = proof.log;
      this.#first = proof.first;
      this.#expired = known === undefined ? proof.first : this.#expired;
    }
    this.#last = proof.previous;
    this.#frontier = frontier;
    return ok(frontier);
  }

  // SECURITY: only whole segments expire; a record that is left out otherwise is missing.
  #skip(
    known: TreeHead,
    frontier: Frontier,
    { gap }: ExportProof,
  ): Result<never, AuditProblem> | undefined {
    const later = { size: frontier.size, root: frontier.root() };
    const isWhole = later.size % SEGMENT_RECORDS === 0;
    const isProved = gap?.from === known.size && isConsistent(known, later, gap.proof);
    if (!isWhole || !isProved) {
      const message = `records ${known.size} to ${later.size - 1} are left out without a proof: the log was rewritten or forked`;
      return fail({ index: known.size, message });
    }
    this.#isSinceSeen ||= this.#trust.since?.size === known.size;
    this.#expired += later.size - known.size;
    return undefined;
  }

  /** How many records the pages so far reach to. */
  size(): number {
    return this.#frontier?.size ?? this.#trust.since?.size ?? 0;
  }

  /** Compares the tree, on its way, with the old checkpoint and with what was signed. */
  #meet(frontier: Frontier): Result<never, AuditProblem> | undefined {
    const { since } = this.#trust;
    const { size } = frontier;
    const index = Math.max(size - 1, 0);
    if (since?.size === size) {
      this.#isSinceSeen = true;
      const message = `the first ${size} records are not those of the checkpoint: the log was rewritten or forked`;
      if (frontier.root() !== since.root) return fail({ index, message });
    }
    const signed = this.#ahead.get(size);
    if (signed === undefined) return undefined;
    const message = `the first ${size} records are not those that were signed: the log was rewritten or forked`;
    if (signed.root !== frontier.root()) return fail({ index, message });
    this.#ahead.delete(size);
    this.#checkpoint = signed;
    return undefined;
  }

  #openSigned({ checkpoint, log }: ExportProof): Result<Signed | undefined, AuditProblem> {
    if (checkpoint === null) return ok(undefined);
    const opened = openCheckpoint(checkpoint, this.#trust);
    if (!opened.ok) return this.#bad(`the checkpoint: ${opened.error}`);
    return opened.value.log === log ? opened : this.#bad('the checkpoint is of another log');
  }

  #takeNext({ text }: RecordLine, frontier: Frontier): Result<undefined, AuditProblem> {
    const index = frontier.size;
    const leaf = leafOf(text, this.#last);
    if (leaf === undefined || !text.startsWith(`{"index":${index},`)) {
      return fail({ index, message: 'the record is not what was logged, or not the next one' });
    }
    frontier.push(leaf);
    this.#last = leaf;
    return this.#meet(frontier) ?? ok(undefined);
  }

  #takeProven(line: RecordLine, signed: Signed | undefined): Result<undefined, AuditProblem> {
    const index = indexOf(line.text) ?? this.#records;
    const leaf = leafOf(line.text, line.previous);
    if (leaf === undefined || line.inclusion === undefined || signed === undefined) {
      return fail({ index, message: 'the record is not what was logged, or has no proof' });
    }
    const root = rootFromInclusion(leaf, { index, size: signed.size }, line.inclusion);
    if (root !== signed.root) {
      return fail({ index, message: 'the record is not in the log that was signed' });
    }
    this.#checkpoint = signed;
    this.#ahead.clear();
    return ok(undefined);
  }
}

/** A record's hash after `previous`, if it is the one that it names itself. */
function leafOf(text: string, previous: string): string | undefined {
  const leaf = hashOfBody(previous, text.slice(0, 1 - TAIL_BYTES));
  return leaf === text.slice(1 - TAIL_BYTES, -2) && text.endsWith('"}') ? leaf : undefined;
}

/**
 * SECURITY: what is hashed is in `raw_data`, what people and SIEMs read is around it, so the line has to be what an export
 * writes of that record, its class too: a deletion shown as a reading is as good as a deletion left out. `version` is that
 * of the program that exported, the same in all lines of a page.
 */
function showsRecord({ text, previous, inclusion, shown }: RecordLine, about: About): boolean {
  try {
    const event = { ...JSON.parse(text), previous_hash: previous } as AuditEvent;
    return isDeepStrictEqual(shown, asJson(shownAs(event, { ...about, text, inclusion })));
  } catch {
    // Hashed by whoever signed, and yet no record.
    return false;
  }
}

// What is undefined in an object is absent from its text.
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function indexOf(text: string): number | undefined {
  const digits = /^\{"index":(\d{1,15}),/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

type ProofLine = { readonly kind: 'proof'; readonly proof: ExportProof; readonly version: string };

function parseLine(line: string): RecordLine | ProofLine | undefined {
  try {
    const shown = JSON.parse(line);
    // SECURITY: of a member that is there twice some readers take the first, so a line holds only what was parsed.
    if (JSON.stringify(shown) !== line.trimEnd()) return undefined;
    const { raw_data: text, unmapped } = shown;
    const { proof, inclusion, previous_hash: previous } = unmapped.palisade;
    if (proof !== undefined) return parseProofLine(shown, proof);
    const isRecord = typeof text === 'string' && isHash(previous);
    const isPath = inclusion === undefined || (Array.isArray(inclusion) && inclusion.every(isHash));
    return isRecord && isPath ? { kind: 'record', text, previous, inclusion, shown } : undefined;
  } catch {
    // Not a line that an export has.
    return undefined;
  }
}

// SECURITY: it is an event for whoever reads OCSF, so it must not tell of anything but itself.
function parseProofLine(shown: ShownProof, proof: Partial<ExportProof>): ProofLine | undefined {
  if (!isProof(proof)) return undefined;
  const { version } = shown.metadata.product;
  const isVersion = typeof version === 'string' && /^[\w.+-]{1,64}$/.test(version);
  if (!isVersion || !Number.isSafeInteger(shown.time)) return undefined;
  const written = proofLine(proof, { log: proof.log, version, timeMs: shown.time as number });
  return isDeepStrictEqual(shown, JSON.parse(written))
    ? { kind: 'proof', proof, version }
    : undefined;
}

type ShownProof = { readonly time: unknown; readonly metadata: { product: { version: unknown } } };

function isProof(proof: Partial<ExportProof>): proof is ExportProof {
  const { gap } = proof;
  const isGap =
    gap === undefined || (isSize(gap.from) && Array.isArray(gap.proof) && gap.proof.every(isHash));
  return isGap && isSize(proof.first) && isHash(proof.previous) && Array.isArray(proof.frontier);
}

function frontierOf({ first, frontier }: ExportProof): Frontier | undefined {
  try {
    return frontier.every(isHash) ? new Frontier(first, frontier) : undefined;
  } catch {
    // Not as many hashes as such a size has.
    return undefined;
  }
}
