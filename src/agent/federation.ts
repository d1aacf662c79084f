import { hash } from 'node:crypto';
import { join } from 'node:path';
import {
  type Bundle,
  parseSpiffeBundle,
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeBundle,
  type TrustDomain,
} from '#identity';
import { createCell, fail, ok, type Result, type Scheduler, type Source } from '#lib';
import type { TrustDomainFederationSpec } from '#resource';
import { EVENT, type Log } from '#telemetry';
import type { EndpointProof, EndpointQuestion, fetchBundle } from './fetch-bundle.ts';
import { type BundleStanding, standingOf } from './foreign-standing.ts';
import type { StateFolder } from './state-folder.ts';

/** The bundles of the trust domains that policy names, as fresh as their endpoints give them. */
export type Federation = Source<readonly SpiffeBundle[]> & {
  /** How each of them stands now, by trust domain, also those of which there is no bundle yet. */
  readonly standings: () => readonly BundleStanding[];
  /** Resolves when the disk holds what was fetched, and no more. */
  readonly saved: () => Promise<void>;
  readonly close: () => void;
};

/** What a federation works with. */
export type FederationOptions = {
  /** What signed policy names; undefined until it is known. */
  readonly wanted: Source<readonly TrustDomainFederationSpec[] | undefined>;
  /** Our own trust domain's, for endpoints that are one of ours. */
  readonly own: () => Bundle;
  readonly folder: StateFolder;
  readonly fetch: typeof fetchBundle;
  /** PEM of further authorities for `https_web`. */
  readonly extraWebRoots?: readonly string[] | undefined;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

type Relation = {
  readonly trustDomain: TrustDomain;
  spec: TrustDomainFederationSpec;
  bundle: SpiffeBundle | undefined;
  /** Of the document that `bundle` was fetched as. */
  digest: string | undefined;
  /** When policy began to name it, as far as this process knows; Unix milliseconds, as `refreshedAt`. */
  readonly since: number;
  refreshedAt: number | undefined;
  /** Why its endpoint gave nothing the last time it was asked. */
  problem: string | undefined;
  cancel: () => void;
  isOver: boolean;
};

type Stored = {
  readonly first?: unknown;
  readonly document?: unknown;
  readonly refreshedAt?: unknown;
};

const FOLDER = 'federation';
// Federation 4.1: five minutes where the bundle does not say.
const DEFAULT_REFRESH_MS = 5 * 60_000;
// SECURITY: the hint is a foreign operator's; within these bounds it is followed.
const REFRESH_MS = { least: 10_000, most: 24 * 3_600_000 };
const FIRST_RETRY_MS = 10_000;

/** Follows the bundle endpoints that policy names; what was fetched is kept on disk, by trust domain. */
export function createFederation(options: FederationOptions): Federation {
  return new Relations(options);
}

class Relations implements Federation {
  readonly #options: FederationOptions;
  readonly #relations = new Map<string, Relation>();
  readonly #bundles = createCell<readonly SpiffeBundle[]>([]);
  readonly #stop: () => void;
  // One after another, so that an end is not overtaken by a write that was under way.
  #writing: Promise<void> = Promise.resolve();

  constructor(options: FederationOptions) {
    this.#options = options;
    this.#stop = options.wanted.onChange(() => this.#reconcile());
    this.#reconcile();
  }

  readonly current = (): readonly SpiffeBundle[] => this.#bundles.current();
  readonly onChange: Federation['onChange'] = (listener) => this.#bundles.onChange(listener);

  readonly standings = (): readonly BundleStanding[] =>
    Array.from(this.#relations.values(), (relation) => {
      const { trustDomain, spec, bundle, since, refreshedAt, problem } = relation;
      const everyMs = spec.bundleEndpointURL === undefined ? undefined : intervalOf(bundle);
      return standingOf({ trustDomain, bundle, since, refreshedAt, problem, everyMs });
    }).toSorted((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));

  saved(): Promise<void> {
    return this.#writing;
  }

  close(): void {
    this.#stop();
    for (const relation of this.#relations.values()) end(relation);
  }

  #reconcile(): void {
    const wanted = this.#options.wanted.current();
    if (wanted === undefined) return;
    const specs = new Map(wanted.map((spec) => [spec.trustDomain, spec]));
    for (const [name, relation] of this.#relations) {
      const spec = specs.get(name);
      if (spec !== undefined && JSON.stringify(spec) === JSON.stringify(relation.spec)) continue;
      // Federation 6.3: an end is the end of its bundle too; a change begins anew.
      end(relation);
      this.#relations.delete(name);
      if (spec === undefined) this.#write(name, (file) => this.#options.folder.remove(file));
    }
    for (const [name, spec] of specs) if (!this.#relations.has(name)) this.#begin(name, spec);
    this.#publish();
  }

  #begin(name: string, spec: TrustDomainFederationSpec): void {
    const trustDomain = parseTrustDomain(name);
    // INVARIANT: our own bundle comes from the trust root alone.
    if (!trustDomain.ok || trustDomain.value === this.#options.own().trustDomain) return;
    const stored = this.#stored(trustDomain.value, spec);
    const relation: Relation = {
      trustDomain: trustDomain.value,
      spec,
      bundle: stored?.bundle ?? first(trustDomain.value, spec),
      digest: undefined,
      since: this.#options.clock(),
      refreshedAt: stored?.refreshedAt,
      problem: undefined,
      cancel: () => {},
      isOver: false,
    };
    this.#relations.set(name, relation);
    if (spec.bundleEndpointURL !== undefined) this.#schedule(relation, 0);
  }

  #schedule(relation: Relation, ms: number): void {
    relation.cancel = this.#options.scheduler.after(ms, () => void this.#refresh(relation));
  }

  async #refresh(relation: Relation): Promise<void> {
    const { clock, fetch, log, random } = this.#options;
    const { trustDomain, spec } = relation;
    const url = spec.bundleEndpointURL ?? '';
    const proof = this.#proofFor(spec);
    const question: Omit<EndpointQuestion, 'proof'> = { url, trustDomain, clock };
    const fetched = proof.ok ? await fetch({ ...question, proof: proof.value }) : proof;
    if (relation.isOver) return;
    const taken = fetched.ok ? this.#take(relation, fetched.value) : fetched;
    relation.problem = taken.ok ? undefined : taken.error;
    if (!taken.ok) log.warn(EVENT.federationFailed, { trustDomain, url, reason: taken.error });
    const interval = intervalOf(relation.bundle);
    // Federation 6.2: a failed poll waits for its next turn; only who knows nothing as yet asks sooner.
    const next = relation.bundle === undefined ? Math.min(interval, FIRST_RETRY_MS) : interval;
    this.#schedule(relation, next * (0.9 + 0.2 * random()));
  }

  #proofFor({ bundleEndpointProfile }: TrustDomainFederationSpec): Result<EndpointProof, string> {
    const { extraWebRoots: extraRoots } = this.#options;
    if (bundleEndpointProfile?.type === 'https_web') return ok({ kind: 'web', extraRoots });
    const id = parseSpiffeId(bundleEndpointProfile?.endpointSPIFFEID ?? '');
    if (!id.ok) return fail('the endpoint has no SPIFFE ID');
    const own = this.#options.own();
    // Federation 5.2.2.4: the latest bundle of the endpoint's own trust domain, whichever that is.
    const bundle =
      id.value.trustDomain === own.trustDomain
        ? own
        : this.#relations.get(id.value.trustDomain)?.bundle?.x509;
    if (bundle === undefined) return fail(`no bundle of \`${id.value.trustDomain}\` is known yet`);
    return ok({ kind: 'spiffe', spiffeId: id.value.text, bundle });
  }

  #take(
    relation: Relation,
    fetched: { readonly bundle: SpiffeBundle; readonly document: string },
  ): Result<undefined, string> {
    const { folder, log } = this.#options;
    const { trustDomain, bundle: before, spec } = relation;
    const { sequence } = fetched.bundle;
    // SECURITY: an older bundle could bring back a key that its owner has taken out.
    if (before?.sequence !== undefined && sequence !== undefined && sequence < before.sequence) {
      return fail(
        `its bundle ${sequence} is older than ${before.sequence}, which is held: where its owner began anew, apply the TrustDomainFederation with the bundle of now`,
      );
    }
    const refreshedAt = this.#options.clock();
    relation.refreshedAt = refreshedAt;
    const digest = hash('sha256', fetched.document);
    if (digest === relation.digest) return ok(undefined);
    relation.digest = digest;
    relation.bundle = fetched.bundle;
    log.info(EVENT.federationRefreshed, { trustDomain, sequence });
    this.#publish();
    const stored = { first: digestOf(spec), document: fetched.document, refreshedAt };
    this.#write(trustDomain, (file) => folder.writeJson(file, stored));
    return ok(undefined);
  }

  #write(trustDomain: string, work: (file: string) => Promise<void>): void {
    const file = fileOf(trustDomain);
    this.#writing = this.#writing
      .then(() => work(file))
      .catch((error: unknown) => {
        this.#options.log.error(EVENT.stateWriteFailed, { file, error });
      });
  }

  /** What was fetched before a restart, unless somebody has put another first bundle or endpoint there since. */
  #stored(
    trustDomain: TrustDomain,
    spec: TrustDomainFederationSpec,
  ): { readonly bundle: SpiffeBundle; readonly refreshedAt: number | undefined } | undefined {
    const stored = this.#options.folder.readJson(fileOf(trustDomain)) as Stored | undefined;
    if (typeof stored?.document !== 'string' || stored.first !== digestOf(spec)) return undefined;
    const bundle = parseSpiffeBundle(trustDomain, Buffer.from(stored.document, 'utf8'));
    if (!bundle.ok) return undefined;
    // Versions before 0.2 did not write it.
    const { refreshedAt } = stored;
    return {
      bundle: bundle.value,
      refreshedAt: typeof refreshedAt === 'number' ? refreshedAt : undefined,
    };
  }

  #publish(): void {
    const held = [...this.#relations.values()].flatMap(({ bundle }) => bundle ?? []);
    held.sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
    const before = this.#bundles.current();
    const isSame = held.length === before.length && held.every((each, i) => each === before[i]);
    if (!isSame) this.#bundles.set(held);
  }
}

function intervalOf(bundle: SpiffeBundle | undefined): number {
  const hint = bundle?.refreshHintMs ?? DEFAULT_REFRESH_MS;
  return Math.min(Math.max(hint, REFRESH_MS.least), REFRESH_MS.most);
}

function end(relation: Relation): void {
  relation.isOver = true;
  relation.cancel();
}

function first(
  trustDomain: TrustDomain,
  spec: TrustDomainFederationSpec,
): SpiffeBundle | undefined {
  if (spec.trustDomainBundle === undefined) return undefined;
  const bundle = parseSpiffeBundle(trustDomain, Buffer.from(spec.trustDomainBundle, 'utf8'));
  return bundle.ok ? bundle.value : undefined;
}

function digestOf(spec: TrustDomainFederationSpec): string {
  return hash('sha256', JSON.stringify(spec));
}

/** INVARIANT: a trust domain's name is letters, digits, `.`, `-` and `_`: with a prefix, a plain file name. */
function fileOf(trustDomain: string): string {
  return join(FOLDER, `td-${trustDomain}.json`);
}
