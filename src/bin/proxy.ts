import { once } from 'node:events';
import { EXIT, type ProxyOptions, VERSION } from '#cli';
import { explainListenError, loadProxy, type RunningProxy } from '#local';
import { reportStartErrors } from './report-start-error.ts';
import { stopSignal } from './stop-signal.ts';

const DRAIN_MS = 5000;
// Small buffers are cut from slabs of this size, and one that lives keeps its whole slab. Node.js's own 64 KiB costs a busy
// sidecar 20 MB.
Buffer.poolSize = 8192;

/** `palisade proxy`: the sidecar of one workload, until a signal or, under `palisade run`, the end of its parent. */
export function proxy(options: ProxyOptions): Promise<number> {
  return reportStartErrors(async () => {
    const orphaned = once(process, 'disconnect');
    const stopped = stopSignal();
    // Under `palisade run` the parent introduces us to the agent first; we load our code meanwhile.
    const loaded = loadProxy();
    const ended = await Promise.race([goAhead(), stopped, orphaned]);
    if (ended !== 'go') return EXIT.done;
    const running = await start(options, await loaded);
    tellParent(running);
    running.onChange(() => tellParent(running));
    await Promise.race([stopped, orphaned]);
    await running.close(DRAIN_MS);
    return EXIT.done;
  });
}

type ProxyModule = Awaited<ReturnType<typeof loadProxy>>;

async function start(options: ProxyOptions, module: ProxyModule): Promise<RunningProxy> {
  const { openProxyLog, startProxy } = module;
  try {
    return await startProxy({
      dataDir: options.dataDir,
      namespace: options.namespace,
      service: options.service,
      appPort: options.appPort,
      inboundPort: options.inboundPort ?? 0,
      hbonePort: options.hbonePort ?? 0,
      outboundPort: options.outboundPort ?? 0,
      metricsPort: options.metricsPort ?? 0,
      upstreams: options.upstreams,
      softwareVersion: VERSION,
      openLog: openProxyLog(options, process.send !== undefined),
    });
  } catch (error) {
    throw explainListenError(error);
  }
}

async function goAhead(): Promise<'go'> {
  if (process.send !== undefined && process.connected) await once(process, 'message');
  return 'go';
}

// Under `palisade run` the parent starts the application once we are ready.
function tellParent(running: RunningProxy): void {
  if (process.send === undefined || !process.connected) return;
  const { ready, reason } = running.ready();
  const { inboundPort, hbonePort, outboundPort, metricsPort } = running;
  const ports = { inboundPort, hbonePort, outboundPort, metricsPort };
  process.send(ready ? { kind: 'ready', ...ports } : { kind: 'waiting', reason });
}
