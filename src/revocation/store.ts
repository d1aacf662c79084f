import { nothingRevoked, type RevocationCheck } from '#identity';
import { createCell, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  type ActiveRevocation,
  activeRevocations,
  type ChainProblem,
  type ChainState,
  compileRevocations,
  describeTarget,
  RevocationSet,
  type TrustError,
  type TrustRoot,
  type VerifiedRevocation,
} from '#trust';
import { openJournal } from './journal.ts';

/** What became of entries that arrived. */
export type Received = {
  /** Verified and new; in force already. */
  readonly added: readonly VerifiedRevocation[];
  readonly refused: readonly TrustError[];
};

/** The revocations of one holder: verified, in force at once, and kept on disk. */
export type RevocationStore = {
  /** The question every connection asks; a new value after each change. */
  readonly check: Source<RevocationCheck>;
  /** Takes envelopes; `from` names their bringer to `onAdded`, so that it need not hear them again. */
  readonly receive: (envelopes: readonly unknown[], from?: object) => Received;
  /** Resolves when all that was received is on disk; rejects when the disk refuses. */
  readonly saved: () => Promise<void>;
  readonly states: () => readonly ChainState[];
  /** How many entries are in force here, lifts included, and one digest over all of them. */
  readonly summary: () => { readonly count: number; readonly digest: string };
  readonly lackedBy: (states: readonly ChainState[]) => readonly VerifiedRevocation[];
  readonly covers: (states: readonly ChainState[]) => boolean;
  readonly all: () => readonly VerifiedRevocation[];
  /** Those not lifted, whether or not they have ended. */
  readonly active: () => readonly ActiveRevocation[];
  readonly problems: () => readonly ChainProblem[];
  readonly onAdded: (
    listener: (entries: readonly VerifiedRevocation[], from: object | undefined) => void,
  ) => () => void;
  readonly close: () => void;
};

/** What a store works with; `path` is a file of JSON lines. */
export type RevocationStoreOptions = {
  readonly path: string;
  readonly trustRoot: () => TrustRoot;
  readonly log: Log;
};

/** Opens a store; what is on disk is verified again. Throws where the file cannot be written. */
export function openRevocationStore(options: RevocationStoreOptions): RevocationStore {
  const { trustRoot, log } = options;
  const set = new RevocationSet();
  const journal = openJournal(options.path);
  for (const line of journal.lines) {
    // SECURITY: the disk is no better than the network.
    const added = set.add(parseLine(line), trustRoot());
    if (!added.ok) log.error(EVENT.revocationRefused, { from: 'disk', ...added.error });
  }
  const check = createCell<RevocationCheck>(nothingRevoked);
  const compile = () => check.set(compileRevocations(set.all(), trustRoot().trustDomain));
  if (set.size > 0) compile();
  const listeners = new Set<Parameters<RevocationStore['onAdded']>[0]>();
  let saved = Promise.resolve();

  function keep(added: readonly VerifiedRevocation[]): void {
    saved = journal.append(added.map(({ envelope }) => JSON.stringify(envelope)));
    // A full disk: enforced all the same, and tried again with the next entry.
    saved.catch((error: unknown) =>
      log.error(EVENT.stateWriteFailed, { file: options.path, error }),
    );
  }

  return {
    check,
    receive(envelopes, from) {
      const added: VerifiedRevocation[] = [];
      const refused: TrustError[] = [];
      for (const envelope of envelopes) {
        const result = set.add(envelope, trustRoot());
        if (!result.ok) refused.push(result.error);
        else if (result.value !== undefined) added.push(result.value);
      }
      if (added.length > 0) {
        // INVARIANT: in force first; telling others and writing it down may take their time.
        compile();
        for (const entry of added) log.warn(EVENT.revocationEnforced, fieldsOf(entry));
        for (const listener of Array.from(listeners)) listener(added, from);
        keep(added);
      }
      return { added, refused };
    },
    saved: () => saved,
    states: () => set.states(),
    summary: () => ({ count: set.size, digest: set.digest() }),
    lackedBy: (states) => set.lackedBy(states),
    covers: (states) => set.covers(states),
    all: () => set.all(),
    active: () => activeRevocations(set.all()),
    problems: () => set.problems(),
    onAdded(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: journal.close,
  };
}

function fieldsOf({ hash, revocation }: VerifiedRevocation): Record<string, unknown> {
  const { act, author, target } = revocation;
  return { act: act.kind, target: describeTarget(target), author, reason: act.reason, hash };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // An edited line verifies as nothing, and its refusal is logged.
    return null;
  }
}
