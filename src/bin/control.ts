import { type ControlOptions, EXIT } from '#cli';
import { explainListenError, loadMeshProcesses } from '#local';
import { listenFrom } from './listen-from.ts';
import { reportStartErrors } from './report-start-error.ts';
import { stopSignal } from './stop-signal.ts';

/** `palisade control`: the control plane, until a signal. */
export function control(options: ControlOptions): Promise<number> {
  return reportStartErrors(async () => {
    const stopped = stopSignal();
    const ended = new AbortController();
    void stopped.then(() => ended.abort());
    const { createProcessLog, openMeshFolder, startControl } = await loadMeshProcesses();
    const mesh = openMeshFolder({
      dataDir: options.dataDir,
      command: 'control',
      parts: ['control'],
    });
    const { folder, trustRoot, settings } = mesh;
    try {
      const running = await startControl({
        folder,
        trustDomain: trustRoot.trustDomain,
        log: createProcessLog({ name: 'control', verbose: options.verbose }),
        api: listenFrom(settings.api, options),
        grpc: listenFrom(settings.grpc, { host: options.host, port: undefined }),
        console: listenFrom(settings.console, { host: '127.0.0.1', port: undefined }),
        caAddress: settings.ca,
        strict: settings.strict,
        auditRetentionMs: options.auditRetentionMs,
        signal: ended.signal,
      });
      process.stdout.write(`ready ${running.signInLink()}\n`);
      await stopped;
      await running.close();
      return EXIT.done;
    } catch (error) {
      if (ended.signal.aborted) return EXIT.done;
      throw explainListenError(error);
    } finally {
      mesh.release();
    }
  });
}
