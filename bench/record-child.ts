// A pair of sidecars in one process, with its evidence or without: `node bench/record-child.ts on|off APP_PORT FOLDER`.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  type AccessLog,
  createAccessLog,
  createProxyMetrics,
  createRedactor,
  createSampler,
  type ProxyMetrics,
} from '#telemetry';
import { createFakePair } from '../src/proxy/fake-pair.ts';

const SHIP_EVERY_MS = 250;

const [mode, appPort, folder = ''] = process.argv.slice(2);
const isOn = mode === 'on';

function metricsOf(service: string): ProxyMetrics {
  const workload = { service, namespace: 'default', trustDomain: 'cluster.local' };
  return createProxyMetrics({ workload, clock: Date.now });
}

function withEvidence(service: string) {
  const records = createAccessLog({
    folder: join(folder, service),
    sampler: createSampler(),
    redactor: createRedactor(randomBytes(32)),
  });
  setInterval(() => void ship(records), SHIP_EVERY_MS);
  return { records, metrics: metricsOf(service) };
}

/** Reads and acknowledges as the shipper does, whose stream to the agent is not the proxy's evidence but its own. */
async function ship(log: AccessLog): Promise<void> {
  const { accounts } = await log.readAfter(shipped.get(log) ?? 0, 500);
  const last = accounts.at(-1)?.lastSeq;
  if (last === undefined) return;
  shipped.set(log, last);
  log.acknowledge(last);
}

const shipped = new Map<AccessLog, number>();

const pair = await createFakePair({
  application: { port: Number(appPort) },
  evidence: (service) =>
    isOn
      ? withEvidence(service)
      : {
          records: { record: () => undefined },
          metrics: { ...metricsOf(service), countCall: () => undefined },
        },
});
process.once('disconnect', () => process.exit());
process.send?.({ port: pair.caller.outboundPort });
