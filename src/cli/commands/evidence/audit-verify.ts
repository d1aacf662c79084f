import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  type AuditProblem,
  type ExportProof,
  ExportVerifier,
  openCheckpoint,
  SEGMENT_RECORDS,
  type TreeHead,
  type VerifiedExport,
  verifyFolder,
} from '#audit';
import { ApiError, type DataFolder, type Session } from '#client';
import type { Result } from '#lib';
import { decodeEnvelope, type TrustRoot } from '#trust';
import { reasonOf } from '../../authored-files.ts';
import { EXIT, ExitError } from '../../exit.ts';

/** What verifying the control plane's log found. */
export type VerifiedAudit = VerifiedExport & {
  /** The record that verifying went on from; 0: it was verified whole. */
  readonly from: number;
};

/** What to verify, and against what. */
export type AuditVerifyOptions = {
  /** From the first record, though an earlier verification is remembered. */
  readonly isFull: boolean;
  /** A checkpoint that the log must continue, besides what is remembered. */
  readonly since: TreeHead | undefined;
};

/** Verifies the control plane's log over its API, and remembers how it stood. Ends the command where it is not so. */
export async function verifyAudit(
  { api, folder, trustRoot }: Session,
  { isFull, since }: AuditVerifyOptions,
): Promise<VerifiedAudit> {
  const known = since ?? readRemembered(folder);
  const verifier = new ExportVerifier({ ...trustRoot, since: known });
  const from = isFull ? 0 : (known?.size ?? 0);
  for (let next: number | null = from; next !== null; ) {
    const page: string = await api
      .callText('GET', pathOf(next, verifier.size()))
      .catch((error: unknown) => {
        // The log does not have as many records as we know it had.
        if (error instanceof ApiError && error.code === 'bad_request') throw broken(shorter(from));
        throw error;
      });
    next = takePage(verifier, page)?.next ?? null;
  }
  const verified = finish(verifier);
  const { checkpoint, first } = verified;
  // Only whole segments expire.
  if (first > from && known === undefined && first % SEGMENT_RECORDS !== 0) {
    throw broken({ index: from, message: `records ${from} to ${first - 1} are missing` });
  }
  if (checkpoint !== undefined) remember(folder, checkpoint);
  else if (known === undefined) {
    throw new ExitError(
      EXIT.no,
      `the audit log is one chain of ${verified.size} records, but nobody has signed it yet`,
      'the authority signs it within seconds when it can be reached: see `palisade status`',
    );
  }
  return { ...verified, from };
}

/** Verifies what `palisade audit export` wrote, or the folder of a log, without asking anybody. */
export async function verifyFile(
  path: string,
  trustRoot: TrustRoot,
  since: TreeHead | undefined,
): Promise<VerifiedAudit> {
  if (isFolder(path)) return verifyLogFolder(path, trustRoot, since);
  const verifier = new ExportVerifier({ ...trustRoot, since });
  takePage(verifier, readText(path));
  const verified = finish(verifier);
  if (verified.checkpoint === undefined && since === undefined) {
    throw broken({ index: verified.first, message: 'no signed checkpoint vouches for it' });
  }
  return { ...verified, from: verified.first };
}

async function verifyLogFolder(
  path: string,
  trustRoot: TrustRoot,
  since: TreeHead | undefined,
): Promise<VerifiedAudit> {
  const checkpoints = join(path, 'checkpoints.jsonl');
  // A log that nobody signed has none; then it takes a checkpoint from elsewhere.
  const signed = (existsSync(checkpoints) ? readText(checkpoints) : '')
    .split('\n')
    .flatMap((line) => {
      const envelope = decodeEnvelope(Buffer.from(line));
      const opened = envelope.ok ? openCheckpoint(envelope.value, trustRoot) : envelope;
      return opened.ok ? [opened.value] : [];
    });
  const known = since === undefined ? signed : [...signed, since];
  const checked = await verifyFolder(path, known, availableParallelism());
  if (checked.problem !== undefined) throw broken(checked.problem);
  const checkpoint = signed.toSorted((a, b) => a.size - b.size).at(-1);
  if (known.length === 0) {
    throw broken({ index: 0, message: 'no signed checkpoint vouches for it' });
  }
  const { size, root, last, read, expired } = checked;
  return {
    log: 'control',
    size,
    root,
    last,
    records: read,
    expired,
    first: 0,
    from: 0,
    checkpoint,
  };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new ExitError(
      EXIT.usage,
      `cannot read \`${path}\`: ${reasonOf(error)}`,
      'name what `palisade audit export --out` wrote, or the folder of a log',
    );
  }
}

/** The checkpoint that was named: a file with a signed one, or `SIZE:ROOT`. */
export function checkpointOf(named: string, trustRoot: TrustRoot): TreeHead {
  const plain = /^(\d{1,15}):([0-9a-f]{64})$/.exec(named);
  if (plain !== null) return { size: Number(plain[1]), root: plain[2] ?? '' };
  const usage = (reason: string): ExitError =>
    new ExitError(
      EXIT.usage,
      `\`${named}\` is no checkpoint: ${reason}`,
      'name a file with a signed checkpoint, such as an agent keeps, or write SIZE:ROOT',
    );
  let envelope: unknown;
  try {
    envelope = JSON.parse(readFileSync(named, 'utf8'));
  } catch (error) {
    throw usage((error as Error).message);
  }
  const opened = openCheckpoint(envelope, trustRoot);
  if (!opened.ok) throw usage(opened.error);
  return opened.value;
}

function pathOf(from: number, after: number): string {
  return `/audit/export?from=${from}&after=${after}`;
}

function takePage(verifier: ExportVerifier, page: string): ExportProof | undefined {
  let proof: ExportProof | undefined;
  for (const line of page.split('\n')) {
    if (line === '') continue;
    proof = orBroken(verifier.take(line)) ?? proof;
  }
  return proof;
}

function finish(verifier: ExportVerifier): VerifiedExport {
  return orBroken(verifier.finish());
}

function orBroken<T>(result: Result<T, AuditProblem>): T {
  if (result.ok) return result.value;
  throw broken(result.error);
}

function broken({ index, message }: AuditProblem): ExitError {
  return new ExitError(
    EXIT.no,
    `the audit log does not verify: record ${index}: ${message}`,
    'keep the data folder as it is, compare with an export and with the checkpoints that agents keep',
  );
}

function shorter(from: number): AuditProblem {
  const message = `the log ends before it, though it was verified here up to it: it was rolled back or cut off`;
  return { index: Math.max(from - 1, 0), message };
}

const FILE = 'audit-checkpoint.json';

function readRemembered(folder: DataFolder): TreeHead | undefined {
  try {
    return JSON.parse(readFileSync(join(folder.author.folder, FILE), 'utf8')) as TreeHead;
  } catch {
    // The first verification remembers one.
    return undefined;
  }
}

function remember(folder: DataFolder, { size, root }: TreeHead): void {
  const path = join(folder.author.folder, FILE);
  mkdirSync(folder.author.folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, JSON.stringify({ size, root }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
