/** Delayed work: the real clock's or a test's. `after` returns how to call it off. */
export type Scheduler = { readonly after: (ms: number, work: () => void) => () => void };
