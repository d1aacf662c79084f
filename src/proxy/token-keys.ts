import { fail, type Result } from '#lib';
import { EVENT, type Log, type ProxyMetrics } from '#telemetry';
import { type KeyOrigin, type KeySet, parseJwks } from '#token';

/** What is known of an issuer's keys now; `busy` while they are being read or fetched. */
export type KnownKeys = {
  readonly keys: KeySet | undefined;
  readonly busy: Promise<void> | undefined;
};

/** Fetches a text by its address within a time and size that it keeps; the error is for our log. */
export type FetchText = (uri: string, timeoutMs: number) => Promise<Result<string, string>>;

/** Keeps the last good JWKS of each address across restarts. */
export type JwksStore = {
  readonly load: (uri: string) => string | undefined;
  readonly save: (uri: string, text: string) => void;
};

/** What `TokenKeys` works with. */
export type TokenKeysOptions = {
  readonly fetchText: FetchText;
  readonly store: JwksStore | undefined;
  readonly metrics: ProxyMetrics;
  readonly log: Log;
  readonly clock: () => number;
};

// Istio's, give or take a tenth, so that many sidecars do not ask at the same moment.
const REFRESH_MS = 20 * 60_000;
const JITTER = 0.1;
const FIRST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 5 * 60_000;
/** An unknown key makes us ask again, but no attacker makes us ask more often than this. */
const ASK_AGAIN_MS = 10_000;

/**
 * The keys of all issuers of one workload, each on its own: what one address does (hang, fail, lie)
 * concerns only its own tokens. Old keys serve until new ones were read.
 */
export class TokenKeys {
  readonly #options: TokenKeysOptions;
  readonly #known = new Map<string, Issuer>();

  constructor(options: TokenKeysOptions) {
    this.#options = options;
  }

  /** The keys of one origin, which begins to be fetched where it is new. */
  of(origin: KeyOrigin): KnownKeys {
    const key = nameOf(origin);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const issuer = new Issuer(origin, this.#options);
    this.#known.set(key, issuer);
    issuer.start();
    return issuer;
  }

  /** Begins with those that are new and forgets those that nobody asks for any more. */
  retain(origins: readonly KeyOrigin[]): void {
    const wanted = new Set(origins.map(nameOf));
    for (const [name, issuer] of this.#known) {
      if (wanted.has(name)) continue;
      issuer.close();
      this.#known.delete(name);
    }
    for (const origin of origins) this.of(origin);
  }

  /** Fetches anew because a token names a key that is not known; undefined where that was done just now. */
  askAgain(origin: KeyOrigin, nowMs: number): Promise<void> | undefined {
    return this.#known.get(nameOf(origin))?.askAgain(nowMs);
  }

  close(): void {
    this.retain([]);
  }
}

function nameOf(origin: KeyOrigin): string {
  return origin.kind === 'inline' ? origin.jwks : `${origin.timeoutMs} ${origin.uri}`;
}

class Issuer implements KnownKeys {
  keys: KeySet | undefined;
  busy: Promise<void> | undefined;
  readonly #origin: KeyOrigin;
  readonly #options: TokenKeysOptions;
  #text: string | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(origin: KeyOrigin, options: TokenKeysOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  start(): void {
    const origin = this.#origin;
    if (origin.kind === 'inline') {
      this.#hold(this.#take(origin.jwks).then(() => undefined));
      return;
    }
    this.#hold(this.#startRemote(origin.uri));
  }

  askAgain(nowMs: number): Promise<void> | undefined {
    if (this.busy !== undefined) return this.busy;
    if (this.#origin.kind === 'inline' || Math.abs(nowMs - this.#askedAt) < ASK_AGAIN_MS)
      return undefined;
    this.#hold(this.#fetch());
    return this.busy;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  // What lies on the disk serves at once; the network is asked all the same.
  async #startRemote(uri: string): Promise<void> {
    const kept = this.#options.store?.load(uri);
    if (kept !== undefined && (await this.#take(kept))) {
      this.#hold(this.#fetch());
      return;
    }
    await this.#fetch();
  }

  #hold(work: Promise<void>): void {
    const done = work.finally(() => {
      if (this.busy === done) this.busy = undefined;
    });
    this.busy = done;
  }

  async #fetch(): Promise<void> {
    const origin = this.#origin;
    if (origin.kind === 'inline' || this.#closed) return;
    clearTimeout(this.#timer);
    const { fetchText, store, metrics, log, clock } = this.#options;
    this.#askedAt = clock();
    const fetched = await fetchText(origin.uri, origin.timeoutMs).catch((error: unknown) =>
      fail(error instanceof Error ? error.message : 'unknown'),
    );
    const problem = fetched.ok ? await this.#problemOf(fetched.value) : fetched.error;
    if (this.#closed) return;
    metrics.jwksFetched(problem === undefined ? 'ok' : 'failed').value++;
    if (problem === undefined && fetched.ok) {
      this.#failures = 0;
      store?.save(origin.uri, fetched.value);
      return this.#again(REFRESH_MS);
    }
    this.#failures += 1;
    log.warn(EVENT.jwksFailed, { uri: origin.uri, problem, keeps: this.keys !== undefined });
    this.#again(Math.min(MOST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10)));
  }

  async #problemOf(text: string): Promise<string | undefined> {
    if (text === this.#text) return undefined;
    const parsed = await parseJwks(text);
    if (!parsed.ok) return parsed.error;
    this.#text = text;
    this.keys = parsed.value;
    return undefined;
  }

  async #take(text: string): Promise<boolean> {
    return (await this.#problemOf(text)) === undefined;
  }

  #again(afterMs: number): void {
    const jittered = afterMs * (1 - JITTER + 2 * JITTER * Math.random());
    this.#timer = setTimeout(() => this.#hold(this.#fetch()), jittered);
    this.#timer.unref();
  }
}
