import { appendFileSync, readFileSync } from 'node:fs';
import {
  type ChainProblem,
  encodeEnvelope,
  type Revocation,
  type RevocationAct,
  RevocationSet,
  type RevocationTarget,
  signRevocation,
  type TrustRoot,
  type VerifiedRevocation,
} from '#trust';
import { createGrpcClient, Revocations } from '#wire';
import type { ApiClient } from './api-client.ts';
import type { Author } from './policy-set.ts';

/** Every revocation that verifies here, whoever showed it. */
export type HeldRevocations = {
  readonly set: RevocationSet;
  /** Where a signer's chain has gaps or forks. */
  readonly problems: readonly ChainProblem[];
  /** How many entries did not verify. */
  readonly refused: number;
  /** What this author signed and the other side does not have, since nobody took it then: nobody enforces it. */
  readonly untold: readonly VerifiedRevocation[];
};

type Answer = { readonly entries: readonly unknown[] };

/**
 * Fetches all revocations and verifies them. `journalPath` is where this author keeps what it signed.
 * SECURITY: a control plane that leaves out an author's last entries would make the next one fork the chain.
 */
export async function fetchRevocations(
  api: ApiClient,
  trustRoot: TrustRoot,
  journalPath: string,
): Promise<HeldRevocations> {
  const { entries } = await api.call<Answer>('GET', '/revocations');
  return holdRevocations({ told: entries, own: readJournal(journalPath) }, trustRoot);
}

/** Those that verify of what others told, and of what this author signed itself. */
export function holdRevocations(
  { told, own }: { readonly told: readonly unknown[]; readonly own: readonly unknown[] },
  trustRoot: TrustRoot,
): HeldRevocations {
  const set = new RevocationSet();
  const ofTold = told.map((envelope) => set.add(envelope, trustRoot));
  const ofOwn = own.map((envelope) => set.add(envelope, trustRoot));
  const refused = [...ofTold, ...ofOwn].filter(({ ok }) => !ok).length;
  const untold = ofOwn.flatMap((added) => (added.ok ? (added.value ?? []) : []));
  return { set, problems: set.problems(), refused, untold };
}

/** Signs the author's next entry on top of `held`, and keeps it in the author's journal. */
export function signNextRevocation(options: {
  readonly held: HeldRevocations;
  readonly trustRoot: TrustRoot;
  readonly author: Author;
  readonly target: RevocationTarget;
  readonly act: RevocationAct;
  readonly nowMs: number;
  readonly journalPath: string;
}): VerifiedRevocation {
  const { held, trustRoot, author, target, act } = options;
  const issuer = author.signer.keyId;
  const last = held.set.last(issuer);
  const revocation: Revocation = {
    trustDomain: trustRoot.trustDomain,
    issuer,
    number: (last?.revocation.number ?? 0) + 1,
    parent: last?.hash ?? null,
    author: author.name,
    time: new Date(options.nowMs).toISOString(),
    target,
    act,
  };
  const envelope = signRevocation(revocation, [author.signer]);
  const own = new RevocationSet();
  const verified = own.add(envelope, trustRoot);
  if (!verified.ok) throw new Error(verified.error.message);
  if (verified.value === undefined) throw new Error('the entry was signed before');
  appendFileSync(options.journalPath, `${JSON.stringify(envelope)}\n`, { mode: 0o600 });
  return verified.value;
}

/** Hands entries in; resolves when the control plane enforces and keeps them. Rejects with `ApiError`. */
export async function submitRevocations(
  api: ApiClient,
  entries: readonly VerifiedRevocation[],
): Promise<void> {
  for (let at = 0; at < entries.length; at += MAX_SUBMITTED) {
    const some = entries.slice(at, at + MAX_SUBMITTED);
    const body = { entries: some.map(({ envelope }) => envelope) };
    await api.call('POST', '/revocations', { body });
  }
}

// As many as the control plane and agents take at once.
const MAX_SUBMITTED = 256;

/** What the author signed so far; nothing where there is no journal. */
export function readJournal(path: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // The first entry makes the file.
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as unknown];
    } catch {
      // A torn line of a crash: that entry was never handed in.
      return [];
    }
  });
}

/** Hands entries to the agent of this host, which tells all it can reach; for when the control plane is away. */
export async function submitToAgent(
  agentSocket: string,
  entries: readonly VerifiedRevocation[],
): Promise<void> {
  const client = createGrpcClient(Revocations, { kind: 'unix', path: agentSocket });
  try {
    for (let at = 0; at < entries.length; at += MAX_SUBMITTED) {
      const some = entries.slice(at, at + MAX_SUBMITTED);
      await client.unary(Revocations.method.submit, {
        entries: some.map(({ envelope }) => encodeEnvelope(envelope)),
      });
    }
  } finally {
    client.close();
  }
}
