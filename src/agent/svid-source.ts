import type { SpiffeId, WorkloadIdentity } from '#identity';
import { parseSpiffeId } from '#identity';
import { createBackoff, type Source } from '#lib';
import type { RegistrationResource } from '#resource';
import { EVENT, type Log } from '#telemetry';
import { matchRegistrations } from '#trust';
import type { CertificateAuthority } from './agent-identity.ts';
import { requestSvid } from './agent-identity.ts';
import { renewalTime } from './renewal.ts';
import { type Scheduler, whenClockSays } from './timer.ts';
import type { X509Trust } from './trusted-root.ts';

/** What a workload gets: its identities, none as yet, or the word that there are none for it. */
export type SvidAnswer =
  | { readonly kind: 'svids'; readonly svids: readonly WorkloadIdentity[] }
  | { readonly kind: 'pending' }
  | { readonly kind: 'denied' };

/** The identities of the workloads on this host. */
export type SvidSource = {
  /** The SPIFFE IDs that registrations give to a process with these selectors. */
  readonly idsFor: (selectors: readonly string[]) => readonly string[];
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
  readonly authority: CertificateAuthority;
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

type Watch = {
  readonly selectors: readonly string[];
  readonly listener: (answer: SvidAnswer) => void;
  entries: readonly Entry[];
  /** What was told last, so that nothing is told twice. */
  told: string;
};

type Entry = {
  readonly id: SpiffeId;
  identity: WorkloadIdentity | undefined;
  isAsking: boolean;
  cancel: () => void;
  readonly backoff: ReturnType<typeof createBackoff>;
};

const RETRY = { minMs: 100, maxMs: 30_000 };

/** Creates the source; an identity is asked for when the first watcher needs it and renewed while one is left. */
export function createSvidSource(options: SvidSourceOptions): SvidSource {
  return new CachedSvids(options);
}

class CachedSvids implements SvidSource {
  readonly #options: SvidSourceOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #watches = new Set<Watch>();
  readonly #stop: (() => void)[];

  constructor(options: SvidSourceOptions) {
    this.#options = options;
    this.#stop = [
      options.registrations.onChange(() => this.#update()),
      options.agent.onChange(() => this.#retryAll()),
    ];
  }

  idsFor(selectors: readonly string[]): readonly string[] {
    const registrations = this.#options.registrations.current() ?? [];
    const matched = matchRegistrations(selectors, registrations);
    return [...new Set(matched.map((registration) => registration.spec.spiffeId))].sort();
  }

  watch(selectors: readonly string[], listener: (answer: SvidAnswer) => void): () => void {
    const watch: Watch = { selectors, listener, entries: [], told: '' };
    this.#watches.add(watch);
    this.#match(watch);
    this.#tell(watch);
    return () => this.#watches.delete(watch);
  }

  close(): void {
    for (const stop of this.#stop) stop();
    for (const entry of this.#entries.values()) entry.cancel();
    this.#watches.clear();
  }

  #update(): void {
    for (const watch of this.#watches) {
      this.#match(watch);
      this.#tell(watch);
    }
  }

  #match(watch: Watch): void {
    watch.entries = this.idsFor(watch.selectors).flatMap((text) => {
      const id = parseSpiffeId(text);
      return id.ok ? [this.#entryOf(id.value)] : [];
    });
    for (const entry of watch.entries) if (this.#usable(entry) === undefined) this.#ask(entry);
  }

  #entryOf(id: SpiffeId): Entry {
    const known = this.#entries.get(id.text);
    if (known !== undefined) return known;
    const backoff = createBackoff(RETRY, this.#options.random);
    const entry = { id, identity: undefined, isAsking: false, cancel: () => {}, backoff };
    this.#entries.set(id.text, entry);
    return entry;
  }

  #tell(watch: Watch): void {
    const answer = this.#answerFor(watch);
    const told =
      answer.kind === 'svids' ? answer.svids.map((svid) => svid.serial).join() : answer.kind;
    if (told === watch.told) return;
    watch.told = told;
    watch.listener(answer);
  }

  #answerFor(watch: Watch): SvidAnswer {
    if (this.#options.registrations.current() === undefined) return { kind: 'pending' };
    if (watch.entries.length === 0) return { kind: 'denied' };
    const svids = watch.entries.map((entry) => this.#usable(entry));
    const ready = svids.filter((svid) => svid !== undefined);
    return ready.length === 0 ? { kind: 'pending' } : { kind: 'svids', svids: ready };
  }

  #usable(entry: Entry): WorkloadIdentity | undefined {
    const { identity } = entry;
    return identity !== undefined && identity.expiresAt > this.#options.clock()
      ? identity
      : undefined;
  }

  #retryAll(): void {
    for (const entry of this.#entries.values()) {
      if (this.#usable(entry) === undefined) this.#ask(entry);
    }
  }

  #ask(entry: Entry): void {
    if (entry.isAsking) return;
    const watch = this.#watcherOf(entry);
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
    const request = (csr: Uint8Array) => authority.issue(agent, csr, watch.selectors);
    const asked = await requestSvid({ id, trust, clock, request });
    if (!asked.ok) {
      const inMs = Math.round(entry.backoff.nextMs());
      log.warn(EVENT.svidIssueFailed, { spiffeId: id.text, reason: asked.error, retryInMs: inMs });
      this.#schedule(entry, clock() + inMs);
      return;
    }
    entry.backoff.reset();
    entry.identity = asked.value;
    const { serial, expiresAt } = asked.value;
    log.info(EVENT.svidIssued, { spiffeId: id.text, serial, expiresAt });
    this.#schedule(entry, renewalTime(asked.value, random));
    for (const each of this.#watches) if (each.entries.includes(entry)) this.#tell(each);
  }

  #schedule(entry: Entry, atMs: number): void {
    const { clock, scheduler } = this.#options;
    entry.cancel();
    entry.cancel = whenClockSays({ atMs, clock, scheduler }, () => {
      // Not renewed without a watcher; the next one asks anew.
      if (this.#watcherOf(entry) === undefined) this.#entries.delete(entry.id.text);
      else this.#ask(entry);
    });
  }

  #watcherOf(entry: Entry): Watch | undefined {
    for (const watch of this.#watches) if (watch.entries.includes(entry)) return watch;
    return undefined;
  }
}
