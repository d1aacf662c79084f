// One Ctrl-C can arrive twice: from the terminal, and from a launcher or npm that hands its own on.
const SAME_MS = 1000;

/** Resolves with the first signal that asks this process to stop; a second one, later, ends it at once. */
export function stopSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAt: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      firstAt ??= performance.now();
      resolve(signal);
      if (performance.now() - firstAt > SAME_MS) process.exit(130);
    });
  }
  return promise;
}
