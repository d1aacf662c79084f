import {
  BACKDATE_MS,
  parseSpiffeId,
  type RevocationCheck,
  type SpiffeId,
  type WorkloadIdentity,
} from '#identity';
import { createBackoff, type Scheduler, type Source } from '#lib';
import type { RegistrationResource } from '#resource';
import { EVENT, type Log } from '#telemetry';
import { indexRegistrations } from '#trust';
import { requestSvid, uselessBecause } from './agent-identity.ts';
import type { CertificateAuthority } from './certificate-authority.ts';
import type { CertificateRequest } from './evidence/converse.ts';
import { renewalTime } from './renewal.ts';
import { whenClockSays } from './timer.ts';
import { isUnderFirstRoot, type X509Trust } from './trusted-root.ts';

/** An identity with the word on what it is for, empty where its registration says none. */
export type ServedSvid = { readonly identity: WorkloadIdentity; readonly hint: string };

/** An identity that registrations give to a process. */
export type Entitlement = { readonly id: SpiffeId; readonly hint: string };

/** What a workload gets: its identities, none as yet, or the word that there are none for it. */
export type SvidAnswer =
  | { readonly kind: 'svids'; readonly svids: readonly ServedSvid[] }
  | { readonly kind: 'pending' }
  | { readonly kind: 'denied' };

/** The identities of the workloads on this host. */
export type SvidSource = {
  /** How many identities there are for workloads now. */
  readonly served: () => number;
  /** The SPIFFE IDs that registrations give to a process with these selectors. */
  readonly idsFor: (selectors: readonly string[]) => readonly string[];
  /** The same with their hints; undefined until the registrations are known. */
  readonly entitled: (selectors: readonly string[]) => readonly Entitlement[] | undefined;
  /** Calls `listener` after each change of the registrations until the returned function is called. */
  readonly onRegistrations: (listener: () => void) => () => void;
  /** Tells `listener` the answer now and whenever it changes, until the returned function is called. */
  readonly watch: (
    selectors: readonly string[],
    listener: (answer: SvidAnswer) => void,
  ) => () => void;
  readonly close: () => void;
};

/** What the source works with. */
export type SvidSourceOptions = {
  readonly agent: Source<WorkloadIdentity | undefined>;
  /** Undefined until the registrations are known. */
  readonly registrations: Source<readonly RegistrationResource[] | undefined>;
  readonly authority: Pick<CertificateAuthority, 'issue'>;
  readonly revocations: Source<RevocationCheck>;
  /** Tells when the roots are others. */
  readonly trusts?: Pick<Source<X509Trust>, 'onChange'>;
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

type Watch = {
  readonly selectors: readonly string[];
  readonly listener: (answer: SvidAnswer) => void;
  /** One for each entry, in their order. */
  entitled: readonly Entitlement[];
  entries: readonly Entry[];
  /** What was told last, so that nothing is told twice. */
  told: string;
};

type Entry = {
  readonly id: SpiffeId;
  identity: WorkloadIdentity | undefined;
  /** Who gets it. */
  readonly watches: Set<Watch>;
  isAsking: boolean;
  /** The last request for it came to nothing. */
  hasFailed: boolean;
  cancel: () => void;
  backoff: ReturnType<typeof createBackoff>;
};

type Registered = {
  readonly registrations: readonly RegistrationResource[];
  readonly match: (selectors: readonly string[]) => readonly RegistrationResource[];
  /** What was asked before: a process asks again and again, and what is true of it is mostly the same. */
  readonly known: Map<string, readonly Entitlement[]>;
};

const MAX_KNOWN = 256;
/** Until there was an identity: a workload waits to begin, and what its authority lacks mostly comes within moments. */
const FIRST_RETRY = { minMs: 100, maxMs: 5_000 };
const RETRY = { minMs: 100, maxMs: 30_000 };

/** Creates the source; an identity is asked for when the first watcher needs it and renewed while one is left. */
export function createSvidSource(options: SvidSourceOptions): SvidSource {
  return new CachedSvids(options);
}

/** Sorted by ID, which makes the first one the default; a hint is its first one's alone (Workload API 5.2.1). */
function entitlementsOf(matched: readonly RegistrationResource[]): readonly Entitlement[] {
  const hints = new Map<string, string>();
  for (const { spec } of matched) {
    // Of registrations that agree on the ID, the first that gives a hint counts.
    hints.set(spec.spiffeId, hints.get(spec.spiffeId) || (spec.hint ?? ''));
  }
  const used = new Set<string>();
  return [...hints.keys()].sort().flatMap((text) => {
    const id = parseSpiffeId(text);
    if (!id.ok) return [];
    const wanted = hints.get(text) ?? '';
    const hint = used.has(wanted) ? '' : wanted;
    used.add(hint);
    return [{ id: id.value, hint }];
  });
}

class CachedSvids implements SvidSource {
  readonly #options: SvidSourceOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #watches = new Set<Watch>();
  readonly #stop: (() => void)[];
  #registered: Registered | undefined;

  constructor(options: SvidSourceOptions) {
    this.#options = options;
    const stopTrusts = options.trusts?.onChange(() => this.#replaceForeign());
    this.#stop = [
      () => stopTrusts?.(),
      options.registrations.onChange(() => this.#update()),
      options.agent.onChange(() => this.#retryAll()),
      // What was revoked is asked for anew, and no longer told where a new one would be revoked as well.
      options.revocations.onChange(() => {
        this.#retryAll();
        for (const watch of this.#watches) this.#tell(watch);
      }),
    ];
  }

  served(): number {
    return Array.from(this.#entries.values()).filter(({ identity }) => identity !== undefined)
      .length;
  }

  idsFor(selectors: readonly string[]): readonly string[] {
    return (this.entitled(selectors) ?? []).map(({ id }) => id.text);
  }

  entitled(selectors: readonly string[]): readonly Entitlement[] | undefined {
    const registrations = this.#options.registrations.current();
    if (registrations === undefined) return undefined;
    if (registrations !== this.#registered?.registrations) {
      const match = indexRegistrations(registrations);
      this.#registered = { registrations, match, known: new Map() };
    }
    const { known, match } = this.#registered;
    // SECURITY: as JSON, which has one reading: a process chooses its path, line ends included.
    const key = JSON.stringify(selectors);
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = entitlementsOf(match(selectors));
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(key, found);
    return found;
  }

  onRegistrations(listener: () => void): () => void {
    return this.#options.registrations.onChange(listener);
  }

  watch(selectors: readonly string[], listener: (answer: SvidAnswer) => void): () => void {
    const watch: Watch = { selectors, listener, entitled: [], entries: [], told: '' };
    this.#watches.add(watch);
    this.#match(watch);
    this.#tell(watch);
    return () => {
      this.#watches.delete(watch);
      for (const entry of watch.entries) entry.watches.delete(watch);
    };
  }

  close(): void {
    for (const stop of this.#stop) stop();
    for (const entry of this.#entries.values()) {
      entry.cancel();
      entry.watches.clear();
    }
    this.#watches.clear();
  }

  #update(): void {
    for (const watch of this.#watches) {
      this.#match(watch);
      this.#tell(watch);
    }
  }

  #match(watch: Watch): void {
    watch.entitled = this.entitled(watch.selectors) ?? [];
    for (const entry of watch.entries) entry.watches.delete(watch);
    watch.entries = watch.entitled.map(({ id }) => this.#entryOf(id));
    for (const entry of watch.entries) entry.watches.add(watch);
    for (const entry of watch.entries) if (this.#usable(entry) === undefined) this.#ask(entry);
  }

  #entryOf(id: SpiffeId): Entry {
    const known = this.#entries.get(id.text);
    if (known !== undefined) return known;
    const backoff = createBackoff(FIRST_RETRY, this.#options.random);
    const entry = {
      id,
      identity: undefined,
      watches: new Set<Watch>(),
      isAsking: false,
      hasFailed: false,
      cancel: () => {},
      backoff,
    };
    this.#entries.set(id.text, entry);
    return entry;
  }

  #tell(watch: Watch): void {
    const answer = this.#answerFor(watch);
    const told =
      answer.kind === 'svids'
        ? JSON.stringify(answer.svids.map(({ identity, hint }) => [identity.serial, hint]))
        : answer.kind;
    if (told === watch.told) return;
    watch.told = told;
    watch.listener(answer);
  }

  #answerFor(watch: Watch): SvidAnswer {
    if (this.#options.registrations.current() === undefined) return { kind: 'pending' };
    if (watch.entries.every((entry) => this.#isRevokedForGood(entry))) return { kind: 'denied' };
    // Workload API 4.3: an answer is the whole set; only what cannot be had is not waited for.
    const isComplete = watch.entries.every(
      (entry) => entry.hasFailed || this.#isRevokedForGood(entry) || this.#usable(entry),
    );
    if (!isComplete) return { kind: 'pending' };
    const ready = watch.entries.flatMap((entry, i) => {
      const identity = this.#usable(entry);
      const hint = watch.entitled[i]?.hint ?? '';
      return identity === undefined ? [] : [{ identity, hint }];
    });
    return ready.length === 0 ? { kind: 'pending' } : { kind: 'svids', svids: ready };
  }

  #usable(entry: Entry): WorkloadIdentity | undefined {
    const { identity } = entry;
    const nowMs = this.#options.clock();
    if (identity === undefined || identity.expiresAt <= nowMs) return undefined;
    return this.#options.revocations.current()(identity, nowMs) === undefined
      ? identity
      : undefined;
  }

  /** Whether not even a certificate issued now would count. */
  #isRevokedForGood({ id }: Entry): boolean {
    const nowMs = this.#options.clock();
    const fresh = { id, serial: '', notBefore: nowMs - BACKDATE_MS };
    return this.#options.revocations.current()(fresh, nowMs) !== undefined;
  }

  /** Authors have rotated the authority: what stands under another root is issued anew, and served until then. */
  #replaceForeign(): void {
    const { clock, trust } = this.#options;
    for (const entry of this.#entries.values()) {
      const { identity } = entry;
      if (identity === undefined) continue;
      if (!isUnderFirstRoot(identity.chainDer, trust(), clock())) this.#ask(entry);
    }
  }

  #retryAll(): void {
    for (const entry of this.#entries.values()) {
      if (this.#usable(entry) === undefined) this.#ask(entry);
    }
  }

  #ask(entry: Entry): void {
    if (entry.isAsking) return;
    const watch = anyOf(entry.watches);
    const agent = this.#options.agent.current();
    // Without a watcher nobody needs it.
    if (watch === undefined) return;
    if (agent === undefined) {
      this.#schedule(entry, this.#options.clock() + entry.backoff.nextMs());
      return;
    }
    entry.isAsking = true;
    entry.cancel();
    void this.#request(entry, watch, agent).then(() => {
      entry.isAsking = false;
    });
  }

  async #request(entry: Entry, watch: Watch, agent: WorkloadIdentity): Promise<void> {
    const { authority, clock, log, random, trust } = this.#options;
    const { id } = entry;
    const request = ({ csr }: CertificateRequest) => authority.issue(agent, csr, watch.selectors);
    const asked = await requestSvid({ id, trust, clock, request });
    if (!asked.ok) {
      const inMs = Math.round(entry.backoff.nextMs());
      log.warn(EVENT.svidIssueFailed, { spiffeId: id.text, reason: asked.error, retryInMs: inMs });
      entry.hasFailed = true;
      this.#schedule(entry, clock() + inMs);
      this.#tellWatchersOf(entry);
      return;
    }
    entry.identity = asked.value;
    if (this.#usable(entry) === undefined) {
      const inMs = Math.round(entry.backoff.nextMs());
      const reason = uselessBecause(asked.value, clock());
      log.warn(EVENT.svidIssueFailed, { spiffeId: id.text, reason, retryInMs: inMs });
      entry.hasFailed = true;
      this.#schedule(entry, clock() + inMs);
      this.#tellWatchersOf(entry);
      return;
    }
    entry.backoff = createBackoff(RETRY, random);
    entry.hasFailed = false;
    const { serial, expiresAt } = asked.value;
    log.info(EVENT.svidIssued, { spiffeId: id.text, serial, expiresAt });
    this.#schedule(entry, renewalTime(asked.value, random));
    this.#tellWatchersOf(entry);
  }

  #tellWatchersOf(entry: Entry): void {
    for (const watch of Array.from(entry.watches)) this.#tell(watch);
  }

  #schedule(entry: Entry, atMs: number): void {
    const { clock, scheduler } = this.#options;
    entry.cancel();
    entry.cancel = whenClockSays({ atMs, clock, scheduler }, () => {
      // Not renewed without a watcher; the next one asks anew.
      if (entry.watches.size === 0) this.#entries.delete(entry.id.text);
      else this.#ask(entry);
    });
  }
}

function anyOf(watches: ReadonlySet<Watch>): Watch | undefined {
  const [first] = watches;
  return first;
}
