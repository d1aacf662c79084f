import type { MetricFamily, Readiness } from '#telemetry';
import type { Listen } from './mesh-processes.ts';

/** What a process shows of itself. */
export type Shown = {
  readonly families: () => readonly MetricFamily[];
  readonly ready: () => Readiness;
};

/** Serves `/metrics` and health of the authority or an agent; resolves to how to stop. */
export async function serveMetrics(
  listen: Listen | undefined,
  { families, ready }: Shown,
): Promise<() => Promise<void>> {
  if (listen === undefined) return () => Promise.resolve();
  const { createAdminServer, expose } = await import('#telemetry');
  const server = await createAdminServer({
    ...listen,
    metrics: { exposition: (openMetrics) => expose(families(), openMetrics) },
    ready,
  });
  return server.close;
}
