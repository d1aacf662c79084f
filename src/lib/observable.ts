/** A current value that others may watch, e.g. the snapshot a proxy enforces. */
export type Source<T> = {
  /** The value now. */
  readonly current: () => T;
  /** Calls `listener` after each change until the returned function is called. */
  readonly onChange: (listener: (value: T) => void) => () => void;
};

/** A `Source` together with the only way to change it. */
export type Cell<T> = Source<T> & { readonly set: (value: T) => void };

/** Creates a cell; listeners run synchronously, in the order in which they came. */
export function createCell<T>(initial: T): Cell<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  return {
    current: () => value,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set(next) {
      value = next;
      // Over a copy: a listener may remove itself or add another.
      for (const listener of Array.from(listeners)) listener(next);
    },
  };
}
