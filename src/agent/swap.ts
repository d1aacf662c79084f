import { type Cell, createCell, type Result, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { LookupResult, PolicySetUpdate, SubscribeResponse } from '#wire';
import type { CompileProblem } from './compile.ts';
import type { PolicyFiles } from './policy-files.ts';
import type { Refusals, Refused } from './refusals.ts';
import { type X509Trust, x509TrustOf } from './trusted-root.ts';
import {
  lookupKey,
  type VerifiedLookup,
  type VerifiedPolicy,
  verifyLookupResult,
  verifySet,
  verifyTrustRoot,
} from './verify.ts';

/** What verified policy was compiled to, with the set versions it was compiled from. */
export type Compiled = {
  readonly versions: Readonly<Record<string, { readonly number: number; readonly hash: string }>>;
};

/** The last good configuration, and the only way it changes: verify, compile, write down, swap. */
export type Swap<T extends Compiled> = {
  readonly snapshots: Source<T | undefined>;
  readonly current: () => VerifiedPolicy;
  readonly trust: () => X509Trust;
  /** The same, for those who have to know when the trust root has a successor. */
  readonly trusts: Source<X509Trust>;
  /** Namespaces whose sets have never arrived; while there are any, nothing is enforced and everything denied. */
  readonly missing: () => readonly string[];
  /** Calls `listener` whenever fewer are missing, until the returned function is called. */
  readonly onMissing: Source<number>['onChange'];
  /** The versions enforced now, as messages hold them. */
  readonly enforced: () => EncodedVersion[];
  /** The versions held, from which updates continue. */
  readonly held: () => EncodedVersion[];
  readonly refused: () => readonly Refused[];
  /** A stream begins: what is still wrong will be sent, and refused, again. */
  readonly forgetRefusals: () => void;
  /** Takes one message of the control plane; a bad one changes nothing but `refused`. */
  readonly receive: (message: SubscribeResponse['message']) => Promise<void>;
};

/** A set's version as messages hold it. */
export type EncodedVersion = { namespace: string; number: bigint; hash: string };

/** What a swap works with. */
export type SwapOptions<T extends Compiled> = {
  readonly policy: VerifiedPolicy;
  readonly trust: X509Trust;
  readonly files: PolicyFiles;
  readonly refusals: Refusals;
  readonly compile: (policy: VerifiedPolicy) => Result<T, CompileProblem>;
  /**
   * Namespaces without whose sets nothing may be enforced.
   * SECURITY: a control plane that shows a newcomer half of its policy could leave out the half that denies.
   */
  readonly required: readonly string[];
  /** Whether a namespace's whole set was asked for. */
  readonly isWanted: (namespace: string) => boolean;
  /** Counts a refusal by its code. */
  readonly onRefused?: ((code: string) => void) | undefined;
  readonly clock: () => number;
  readonly log: Log;
};

// SECURITY: lookups are asked for by applications, and kept.
const MAX_LOOKUPS = 2_000;
const TRUST_ROOT = 'trust root';

/** Starts with what was on disk, compiled. */
export function createSwap<T extends Compiled>(options: SwapOptions<T>): Swap<T> {
  return new LastGood(options);
}

class LastGood<T extends Compiled> implements Swap<T> {
  readonly #options: SwapOptions<T>;
  readonly #snapshots = createCell<T | undefined>(undefined);
  readonly #missingCount: Cell<number>;
  #policy: VerifiedPolicy;
  readonly #trusts: Cell<X509Trust>;

  constructor(options: SwapOptions<T>) {
    this.#options = options;
    this.#policy = options.policy;
    this.#trusts = createCell(options.trust);
    this.#missingCount = createCell(this.missing().length);
    if (options.policy.sets.size === 0 || this.missing().length > 0) return;
    const snapshot = options.compile(options.policy);
    if (snapshot.ok) this.#snapshots.set(snapshot.value);
    // What compiled once and no longer does (an older version of this program) is not enforced by halves: deny.
    else options.log.error(EVENT.policyOnDiskRefused, { reason: snapshot.error.message });
  }

  get snapshots(): Source<T | undefined> {
    return this.#snapshots;
  }

  readonly current = (): VerifiedPolicy => this.#policy;
  get trusts(): Source<X509Trust> {
    return this.#trusts;
  }

  readonly trust = (): X509Trust => this.#trusts.current();
  readonly missing = (): readonly string[] => this.#missingIn(this.#policy);
  get onMissing(): Source<number>['onChange'] {
    return this.#missingCount.onChange;
  }

  readonly refused = (): readonly Refused[] => this.#options.refusals.all();
  readonly forgetRefusals = (): void => this.#options.refusals.clearAll();

  readonly held = (): EncodedVersion[] =>
    Array.from(this.#policy.sets.values(), ({ namespace, head }) => ({
      namespace,
      number: BigInt(head.number),
      hash: head.hash,
    }));

  readonly enforced = (): EncodedVersion[] => {
    // INVARIANT: an acknowledgement names what the snapshot was compiled from, not what merely arrived.
    const versions = this.#snapshots.current()?.versions ?? {};
    return Object.entries(versions).map(([namespace, { number, hash }]) => ({
      namespace,
      number: BigInt(number),
      hash,
    }));
  };

  readonly receive = async (message: SubscribeResponse['message']): Promise<void> => {
    switch (message.case) {
      case 'policySet':
        return this.#receiveSet(message.value);
      case 'lookup':
        return this.#receiveLookup(message.value);
      case 'trustRoot':
        return this.#receiveTrustRoot(message.value.envelope);
    }
  };

  async #receiveSet(update: PolicySetUpdate): Promise<void> {
    const { clock, files, isWanted, log, refusals } = this.#options;
    const { namespace } = update;
    if (!isWanted(namespace)) {
      this.#refuse(namespace, refusal(namespace, 'wrong_namespace', 'a set nobody asked for'));
      return;
    }
    const set = verifySet(this.#policy, update, clock());
    if (!set.ok) {
      this.#refuse(namespace, set.error);
      return;
    }
    const { number, hash } = set.value.head;
    const before = this.#policy.sets.get(namespace);
    if (before === set.value && this.#snapshots.current()?.versions[namespace]?.hash === hash) {
      refusals.clear(namespace);
      return;
    }
    const candidate = {
      ...this.#policy,
      sets: new Map(this.#policy.sets).set(namespace, set.value),
    };
    if (this.#missingIn(candidate).length > 0) {
      this.#policy = candidate;
      this.#missingCount.set(this.missing().length);
      await this.#write(`set ${namespace}`, files.saveSet(set.value));
      return;
    }
    const snapshot = this.#options.compile(candidate);
    if (!snapshot.ok) {
      const { code, message } = snapshot.error;
      this.#refuse(namespace, { namespace, number, hash, code, message });
      return;
    }
    // On disk before it counts: after a crash no older version than the acknowledged one is enforced.
    await this.#write(`set ${namespace}`, files.saveSet(set.value));
    refusals.clear(namespace);
    this.#enforce(candidate, snapshot.value);
    log.info(EVENT.policyEnforced, { namespace, number, hash });
  }

  async #receiveLookup(result: LookupResult): Promise<void> {
    const { clock, files, refusals } = this.#options;
    const key = lookupKey(result);
    // Nothing to prove against: an unproven absence takes nothing away that was proven once.
    if (result.noSet || this.#options.isWanted(result.namespace)) return;
    const lookup = verifyLookupResult(this.#policy, result, clock());
    if (!lookup.ok) {
      this.#refuse(key, lookup.error);
      return;
    }
    const lookups = new Map(this.#policy.lookups);
    if (!lookups.has(key) && lookups.size >= MAX_LOOKUPS) return;
    const before = lookups.get(key);
    const candidate = { ...this.#policy, lookups: lookups.set(key, lookup.value) };
    if (this.missing().length > 0) {
      this.#policy = candidate;
      return;
    }
    if (before !== undefined && isSameResource(before, lookup.value)) {
      // Each change of a namespace is answered anew for all that was looked up there; most of it stays as it was.
      this.#policy = candidate;
      refusals.clear(key);
      return;
    }
    const snapshot = this.#options.compile(candidate);
    if (!snapshot.ok) {
      const { code, message } = snapshot.error;
      const { namespace, number, hash } = lookup.value;
      this.#refuse(key, { namespace, number, hash, code, message });
      return;
    }
    refusals.clear(key);
    this.#enforce(candidate, snapshot.value);
    await this.#write('lookups', files.saveLookups(candidate.lookups.values()));
  }

  async #receiveTrustRoot(envelope: Uint8Array): Promise<void> {
    const { clock, files, log, refusals } = this.#options;
    const successor = verifyTrustRoot(this.#policy.trustRoot, envelope, clock());
    const trust = successor.ok ? x509TrustOf(successor.value.root) : undefined;
    if (!successor.ok || trust?.ok !== true) {
      const message = trust?.ok === false ? trust.error : 'refused';
      const refused = successor.ok
        ? refusal(TRUST_ROOT, 'trust_root_invalid', message)
        : { ...successor.error, namespace: TRUST_ROOT };
      log.error(EVENT.trustRootRefused, { code: refused.code, reason: refused.message });
      refusals.add(TRUST_ROOT, refused);
      this.#options.onRefused?.(refused.code);
      return;
    }
    refusals.clear(TRUST_ROOT);
    if (successor.value.root.version === this.#policy.trustRoot.version) return;
    await this.#write(TRUST_ROOT, files.saveTrustRoot(successor.value.envelope));
    this.#policy = { ...this.#policy, trustRoot: successor.value.root };
    this.#trusts.set(trust.value);
    log.info(EVENT.trustRootSucceeded, { version: successor.value.root.version });
  }

  #missingIn(policy: VerifiedPolicy): readonly string[] {
    return this.#options.required.filter((namespace) => !policy.sets.has(namespace));
  }

  #enforce(policy: VerifiedPolicy, snapshot: T): void {
    this.#policy = policy;
    this.#snapshots.set(snapshot);
  }

  #refuse(subject: string, refused: Refused): void {
    const { namespace, number, code, message } = refused;
    this.#options.log.error(EVENT.policyRefused, { namespace, number, code, reason: message });
    this.#options.refusals.add(subject, refused);
    this.#options.onRefused?.(code);
  }

  // A full disk must not keep a newer, perhaps stricter, policy from being enforced; it is told and gone on.
  async #write(what: string, written: Promise<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      this.#options.log.error(EVENT.stateWriteFailed, { file: what, error });
    }
  }
}

function isSameResource(a: VerifiedLookup, b: VerifiedLookup): boolean {
  return Buffer.compare(a.evidence.resource, b.evidence.resource) === 0;
}

function refusal(namespace: string, code: string, message: string): Refused {
  return { namespace, number: 0, hash: '', code, message };
}
