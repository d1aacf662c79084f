import { type CaOptions, EXIT } from '#cli';
import { explainListenError, loadMeshProcesses } from '#local';
import { listenFrom } from './listen-from.ts';
import { reportStartErrors } from './report-start-error.ts';
import { stopSignal } from './stop-signal.ts';

/** `palisade ca`: the certificate authority, until a signal. */
export function ca(options: CaOptions): Promise<number> {
  return reportStartErrors(async () => {
    const stopped = stopSignal();
    const { createProcessLog, openMeshFolder, startCa } = await loadMeshProcesses();
    const mesh = openMeshFolder({ dataDir: options.dataDir, command: 'ca', parts: ['ca'] });
    const listen = listenFrom(mesh.settings.ca, options);
    const log = createProcessLog({ name: 'ca', verbose: options.verbose });
    try {
      const { folder, trustRoot } = mesh;
      const running = await startCa({
        folder,
        trustDomain: trustRoot.trustDomain,
        log,
        listen,
        control: mesh.settings.grpc,
        metrics: options.metrics,
      });
      process.stdout.write(`ready ${listen.host}:${listen.port}\n`);
      await stopped;
      await running.close();
      return EXIT.done;
    } catch (error) {
      throw explainListenError(error);
    } finally {
      mesh.release();
    }
  });
}
