/** A hint that something shown may have changed; whoever shows it fetches it again. */
export type ControlEvent =
  | { readonly kind: 'map' | 'identities' | 'overview' | 'alerts' | 'sinks'; readonly at: string }
  | { readonly kind: 'denials'; readonly at: string; readonly count: number }
  | { readonly kind: 'enforcement'; readonly node: string }
  | {
      readonly kind: 'policy';
      readonly namespace: string;
      readonly number: number;
      readonly hash: string;
    };

/** Tells many listeners; a listener that throws harms nobody else's news. */
export type Broadcast<T> = {
  readonly publish: (item: T) => void;
  /** Until the returned function is called. */
  readonly listen: (listener: (item: T) => void) => () => void;
  readonly listeners: () => number;
};

/** Creates a broadcast without listeners; `onError` hears what a listener threw. */
export function createBroadcast<T>(onError: (error: unknown) => void): Broadcast<T> {
  const listeners = new Set<(item: T) => void>();
  return {
    publish(item) {
      for (const listener of Array.from(listeners)) {
        try {
          listener(item);
        } catch (error) {
          onError(error);
        }
      }
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    listeners: () => listeners.size,
  };
}

/** Passes on at most one item per `everyMs`: the first at once, then the newest when the time is over. */
export function throttle<T>(everyMs: number, pass: (item: T) => void): (item: T) => void {
  let waiting: { readonly item: T } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const release = (): void => {
    timer = undefined;
    const next = waiting;
    waiting = undefined;
    if (next !== undefined) send(next.item);
  };
  const send = (item: T): void => {
    pass(item);
    timer = setTimeout(release, everyMs);
    timer.unref();
  };
  return (item) => {
    if (timer === undefined) send(item);
    else waiting = { item };
  };
}
