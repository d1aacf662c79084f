/** What the server announces on `/api/v1/events`; a page refetches what it shows. */
export type Topic =
  | 'map'
  | 'denials'
  | 'enforcement'
  | 'policy'
  | 'identities'
  | 'overview'
  | 'alerts'
  | 'audit'
  | 'sinks';

/** How the live connection stands. */
export type LiveState = {
  readonly kind: 'connecting' | 'live' | 'lost' | 'paused' | 'signed-out';
  /** When anything was heard last, milliseconds since 1970. */
  readonly heardAt: number | undefined;
};

const TOPICS: readonly Topic[] = [
  'map',
  'denials',
  'enforcement',
  'policy',
  'identities',
  'overview',
  'alerts',
  'audit',
  'sinks',
];
const EVENTS_PATH = '/api/v1/events';
/** EventSource gives up for good on an HTTP error; we open another after this long. */
const REOPEN_MS = 3000;

/**
 * The one live connection of the page: announcements by topic, and the state of the connection.
 * EventSource reconnects by itself after a broken connection; what it gives up on is opened anew.
 */
export class LiveChannel {
  #state: LiveState = { kind: 'connecting', heardAt: undefined };
  #source: EventSource | undefined;
  #reopenTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #stateListeners = new Set<() => void>();
  readonly #topicListeners = new Map<Topic, Set<() => void>>();

  /** The state; the same object until it changes. */
  readonly state = (): LiveState => this.#state;

  /** Calls back on every change of state until the returned function is called. */
  readonly watchState = (listener: () => void): (() => void) => {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  };

  /** Calls back on each announcement of the topic until the returned function is called. */
  watchTopic(topic: Topic, listener: () => void): () => void {
    const listeners = this.#topicListeners.get(topic) ?? new Set();
    this.#topicListeners.set(topic, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  open(): void {
    if (this.#state.kind === 'signed-out') return;
    clearTimeout(this.#reopenTimer);
    this.#source?.close();
    const source = new EventSource(EVENTS_PATH);
    this.#source = source;
    source.onopen = () => {
      const wasLost = this.#state.kind === 'lost';
      this.#become('live');
      // What was announced in between is gone: everyone looks anew.
      if (wasLost) for (const topic of TOPICS) this.#announce(topic);
    };
    source.onerror = () => {
      this.#become('lost');
      if (source.readyState !== EventSource.CLOSED) return;
      this.#reopenTimer = setTimeout(() => this.open(), REOPEN_MS);
    };
    source.addEventListener('hello', () => this.heard());
    for (const topic of TOPICS) source.addEventListener(topic, () => this.#announce(topic));
  }

  close(): void {
    clearTimeout(this.#reopenTimer);
    this.#source?.close();
    this.#source = undefined;
  }

  /** Stops showing what is new; whoever watches the state sees `paused`. */
  pause(): void {
    this.close();
    this.#become('paused');
  }

  /** Goes on, and lets everyone refetch what was missed. */
  resume(): void {
    this.#become('connecting');
    this.open();
    for (const topic of TOPICS) this.#announce(topic);
  }

  /**
   * Lets go of the connection while nobody looks. A browser has six connections to a server of
   * HTTP/1.1, and a stream holds one: without this a few forgotten tabs would starve the one in use.
   */
  suspend(): void {
    if (this.#state.kind === 'live' || this.#state.kind === 'connecting') this.close();
  }

  /** Goes on after {@link suspend}; a page that was paused stays so. */
  wake(): void {
    if (this.#state.kind === 'live' || this.#state.kind === 'connecting') this.resume();
  }

  /** The session is over: no more attempts until a new sign-in loads the page anew. */
  signedOut(): void {
    this.close();
    this.#become('signed-out');
  }

  /** Something came from the control plane, by this connection or another. */
  heard(): void {
    const kind = this.#state.kind === 'lost' && this.#isOpen() ? 'live' : this.#state.kind;
    this.#set({ kind, heardAt: Date.now() });
  }

  #isOpen(): boolean {
    return this.#source?.readyState === EventSource.OPEN;
  }

  #announce(topic: Topic): void {
    this.heard();
    for (const listener of this.#topicListeners.get(topic) ?? []) listener();
  }

  #become(kind: LiveState['kind']): void {
    if (this.#state.kind === 'signed-out') return;
    if (kind === 'live') this.#set({ kind, heardAt: Date.now() });
    else if (this.#state.kind !== kind) this.#set({ ...this.#state, kind });
  }

  #set(state: LiveState): void {
    this.#state = state;
    for (const listener of this.#stateListeners) listener();
  }
}
