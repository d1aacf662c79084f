import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Frontier, leafOfHash } from '#audit';
import type { Session } from '#client';
import {
  type DsseEnvelope,
  type LogEntry,
  type LogHead,
  openLogHead,
  verifyIssuanceLog,
} from '#trust';
import { EXIT, ExitError } from '../../exit.ts';

/** What verifying the authority's log found; `from` is the entry it went on from. */
export type VerifiedIssuance = LogHead & {
  readonly from: number;
  readonly entries: number;
  readonly signedAt: string;
};
type Page = { readonly entries: readonly LogEntry[]; readonly head: DsseEnvelope | null };

type Tree = { readonly tree: Frontier | undefined };
/** `frontier` is absent where version 0.1 remembered it. */
type Remembered = LogHead & { readonly frontier?: readonly string[] };

const PAGE = 1000;

/**
 * Verifies the authority's log: chain, hashes, signed head, and that it continues what was verified here before. Ends the
 * command where it does not.
 */
export async function verifyIssuance(session: Session, isFull: boolean): Promise<VerifiedIssuance> {
  const remembered = readHead(session);
  let head: LogHead | undefined = isFull ? undefined : remembered;
  const tree = treeAfter(isFull ? undefined : remembered);
  const from = head?.number ?? 0;
  let entries = 0;
  let isRememberedSeen = remembered === undefined || head !== undefined;
  for (;;) {
    const after = head?.number ?? 0;
    const path = `/issuance-log?after=${after}&limit=${PAGE}`;
    const page = await session.api.call<Page>('GET', path);
    const verified = verifyIssuanceLog(page.entries, head === undefined ? {} : { after: head });
    if (!verified.ok) {
      throw broken(`entry ${verified.error.number}: ${verified.error.message}`);
    }
    const shown = page.entries.find(({ number }) => number === remembered?.number);
    if (shown !== undefined) {
      if (shown.hash !== remembered?.hash) throw broken(forked(remembered));
      isRememberedSeen = true;
    }
    head = verified.value;
    for (const { hash } of page.entries) tree?.push(leafOfHash(hash));
    entries += page.entries.length;
    if (page.entries.length === PAGE) continue;
    const signed = signedHead(session, page, { ...head, tree });
    if (!isRememberedSeen) throw broken(forked(remembered));
    writeHead(session, { ...head, tree });
    return { ...head, from, entries, signedAt: signed };
  }
}

/** The tree to go on from; undefined where only the chain is remembered. */
function treeAfter(remembered: Remembered | undefined): Frontier | undefined {
  if (remembered === undefined) return new Frontier();
  const { number, frontier } = remembered;
  return frontier === undefined ? undefined : new Frontier(number, frontier);
}

/** When the head was signed, if it is the end of what was shown. */
function signedHead({ trustRoot }: Session, page: Page, head: LogHead & Tree): string {
  const signed = openLogHead(page.head, trustRoot);
  if (!signed.ok) throw broken(`no signed head: ${signed.error}`);
  const { number, hash, time, root } = signed.value;
  // Certificates go on being issued while we read.
  if (number > head.number) return time;
  if (number === head.number && hash === head.hash) {
    if (root === undefined || head.tree === undefined || head.tree.root() === root) return time;
    throw broken('the signed root is of other entries than those shown');
  }
  if (number < head.number) throw broken(`it was rolled back to entry ${number}`);
  throw broken('the signed head is of another log than the one shown');
}

function forked(head: LogHead | undefined): string {
  return `entry ${head?.number} is not the one that was verified here before: the log was forked or rolled back`;
}

function broken(message: string): ExitError {
  return new ExitError(
    EXIT.no,
    `the issuance log does not verify: ${message}`,
    'somebody may have issued certificates unseen: compare with other copies of the log, then rotate the authority with `palisade ca rotate --taint`',
  );
}

const FILE = 'issuance-head.json';

function readHead({ folder }: Session): Remembered | undefined {
  try {
    return JSON.parse(readFileSync(join(folder.author.folder, FILE), 'utf8')) as Remembered;
  } catch {
    // The first verification remembers one.
    return undefined;
  }
}

function writeHead({ folder }: Session, { number, hash, tree }: LogHead & Tree): void {
  const path = join(folder.author.folder, FILE);
  mkdirSync(folder.author.folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, JSON.stringify({ number, hash, frontier: tree?.hashes() }), {
    mode: 0o600,
  });
  renameSync(`${path}.new`, path);
}
