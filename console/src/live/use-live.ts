import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { type Answer, AnswerCache } from './answer-cache.ts';
import { LiveChannel, type LiveState, type Topic } from './live-channel.ts';

/** The page's one live connection. */
export const liveChannel = new LiveChannel();

const cache = new AnswerCache({
  onFailure: (failure) => {
    if (failure.status === 401) liveChannel.signedOut();
  },
  onHeard: () => liveChannel.heard(),
});

/** At most one refetch of a path in this time, however often its topic is announced. */
const REFRESH_MS = 1000;
/** Without an announcement a path is refetched this often: a lost event must not mean a lie. */
const POLL_MS = 10_000;

/** Options of {@link useAnswer}. */
export type AnswerOptions = {
  /** Announcements after which the path is fetched again. */
  readonly topics?: readonly Topic[];
  /** Asked once and not again by itself: for what costs the control plane real work. See {@link askAgain}. */
  readonly once?: boolean;
};

/**
 * The answer of an API path, kept fresh while it is shown. An undefined path asks nothing. While
 * paused nothing is refetched.
 */
export function useAnswer<T>(path: string | undefined, options: AnswerOptions = {}): Answer<T> {
  const topics = options.topics?.join(' ') ?? '';
  const watch = useMemo(
    () => (listener: () => void) =>
      path === undefined ? () => undefined : cache.watch(path, listener),
    [path],
  );
  const once = options.once ?? false;
  useEffect(() => {
    if (path === undefined) return undefined;
    if (once) {
      void cache.refresh(path);
      return undefined;
    }
    return keepFresh(path, topics.split(' ').filter(Boolean) as Topic[]);
  }, [path, topics, once]);
  return useSyncExternalStore(watch, () => cache.read(path ?? '')) as Answer<T>;
}

/** Asks for a path again; done once the answer or its failure is shown. */
export function askAgain(path: string): Promise<void> {
  return cache.refresh(path);
}

/** How the live connection stands. */
export function useLiveState(): LiveState {
  return useSyncExternalStore(liveChannel.watchState, liveChannel.state);
}

function keepFresh(path: string, topics: readonly Topic[]): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let refreshedAt = Date.now();
  const refresh = (): void => {
    timer = undefined;
    refreshedAt = Date.now();
    void cache.refresh(path);
  };
  const soon = (): void => {
    timer ??= setTimeout(refresh, Math.max(0, refreshedAt + REFRESH_MS - Date.now()));
  };
  refresh();
  const stops = topics.map((topic) => liveChannel.watchTopic(topic, soon));
  const poll = setInterval(() => {
    const kind = liveChannel.state().kind;
    if (kind === 'paused' || kind === 'signed-out' || document.hidden) return;
    if (Date.now() - refreshedAt >= POLL_MS) refresh();
  }, POLL_MS / 4);
  return () => {
    clearTimeout(timer);
    clearInterval(poll);
    for (const stop of stops) stop();
  };
}
