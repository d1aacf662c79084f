import { type AgentOptions, EXIT } from '#cli';
import { loadMeshProcesses } from '#local';
import { reportStartErrors } from './report-start-error.ts';
import { stopSignal } from './stop-signal.ts';

// As in the sidecar (proxy.ts): small buffers are cut from slabs of this size, and one that lives keeps its whole slab.
Buffer.poolSize = 8192;

/** `palisade agent`: the agent of this host, until a signal. */
export function agent(options: AgentOptions): Promise<number> {
  return reportStartErrors(async () => {
    const stopped = stopSignal();
    const { createProcessLog, openMeshFolder, startAgent } = await loadMeshProcesses();
    const mesh = openMeshFolder({ dataDir: options.dataDir, command: 'agent', parts: ['agent'] });
    const { folder, trustRoot, settings } = mesh;
    try {
      const running = await startAgent({
        folder,
        trustDomain: trustRoot.trustDomain,
        log: createProcessLog({ name: 'agent', verbose: options.verbose }),
        caAddress: settings.ca,
        controlAddress: settings.grpc,
        hostName: options.hostName,
        peers: options.peers,
        allowOtherUsers: options.allowOtherUsers,
        kubelet: options.kubelet,
        evidence: options.attest,
        metrics: options.metrics,
      });
      process.stdout.write(`ready ${settings.agentSocket}\n`);
      await stopped;
      await running.close();
      return EXIT.done;
    } finally {
      mesh.release();
    }
  });
}
