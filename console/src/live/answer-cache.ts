import { type ApiFailure, fetchJson } from '../api/fetch-json.ts';

/** What is known of one API path. */
export type Answer<T> = {
  /** The newest answer; undefined until the first. */
  readonly data: T | undefined;
  /** When it was heard, milliseconds since 1970. */
  readonly heardAt: number | undefined;
  /** Why the last attempt failed; undefined after one that did not. */
  readonly failure: ApiFailure | undefined;
};

/** Whether an answer came, or will not: what stands below it can be placed. */
export function isSettled(answer: Answer<unknown>): boolean {
  return answer.data !== undefined || answer.failure !== undefined;
}

type Entry = {
  answer: Answer<unknown>;
  inFlight: Promise<void> | undefined;
  readonly listeners: Set<() => void>;
};

const NOTHING: Answer<unknown> = { data: undefined, heardAt: undefined, failure: undefined };
/** Paths that nobody looks at are dropped past this many, oldest first. */
const MAX_UNWATCHED = 40;

/**
 * Answers by path, shared by all who show them. An old answer stays visible while a new one is
 * fetched and when fetching fails, so that a page never goes blank.
 */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #onFailure: (failure: ApiFailure) => void;
  readonly #onHeard: () => void;

  constructor(options: { onFailure: (failure: ApiFailure) => void; onHeard: () => void }) {
    this.#onFailure = options.onFailure;
    this.#onHeard = options.onHeard;
  }

  /** What is known now; the same object until something changes. */
  read(path: string): Answer<unknown> {
    return this.#entries.get(path)?.answer ?? NOTHING;
  }

  /** Calls back on every change of the path's answer, until the returned function is called. */
  watch(path: string, listener: () => void): () => void {
    const entry = this.#entry(path);
    entry.listeners.add(listener);
    return () => entry.listeners.delete(listener);
  }

  /** Fetches the path; attempts that overlap become one. */
  refresh(path: string): Promise<void> {
    const entry = this.#entry(path);
    entry.inFlight ??= this.#fetch(path, entry).finally(() => {
      entry.inFlight = undefined;
    });
    return entry.inFlight;
  }

  async #fetch(path: string, entry: Entry): Promise<void> {
    const result = await fetchJson<unknown>(path);
    if (result.kind === 'answer') {
      entry.answer = { data: result.data, heardAt: Date.now(), failure: undefined };
      this.#onHeard();
    } else {
      entry.answer = { ...entry.answer, failure: result.failure };
      this.#onFailure(result.failure);
    }
    for (const listener of entry.listeners) listener();
  }

  #entry(path: string): Entry {
    let entry = this.#entries.get(path);
    if (entry === undefined) {
      this.#dropUnwatched();
      entry = { answer: NOTHING, inFlight: undefined, listeners: new Set() };
      this.#entries.set(path, entry);
    }
    return entry;
  }

  #dropUnwatched(): void {
    if (this.#entries.size < MAX_UNWATCHED) return;
    for (const [path, entry] of this.#entries) {
      if (entry.listeners.size > 0 || entry.inFlight !== undefined) continue;
      this.#entries.delete(path);
      return;
    }
  }
}
