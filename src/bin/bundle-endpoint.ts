import { readFileSync } from 'node:fs';
import { createBundleEndpoint } from '#agent';
import { type BundleEndpointOptions, EXIT } from '#cli';
import { explainListenError, loadMeshProcesses, StartError } from '#local';
import { reportStartErrors } from './report-start-error.ts';
import { stopSignal } from './stop-signal.ts';

/** `palisade bundle-endpoint`, until a signal. */
export function bundleEndpoint(options: BundleEndpointOptions): Promise<number> {
  return reportStartErrors(async () => {
    const stopped = stopSignal();
    const { createProcessLog } = await loadMeshProcesses();
    const { webCert, webKey } = options;
    const starting = createBundleEndpoint({
      agentSocket: options.socket,
      listen: options.listen,
      issuer: options.issuer,
      web:
        webCert === undefined || webKey === undefined
          ? undefined
          : { cert: read(webCert), key: read(webKey) },
      clock: Date.now,
      log: createProcessLog({ name: 'bundle-endpoint', verbose: options.verbose }),
    });
    const running = await Promise.race([starting, stopped]).catch((error: unknown) => {
      throw explainListenError(error, '--listen');
    });
    // It waits for its identity; a signal ends the wait.
    if (typeof running === 'string') return EXIT.done;
    process.stdout.write(`ready ${options.listen.host}:${running.port}\n`);
    await stopped;
    await running.close();
    return EXIT.done;
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartError(`\`${path}\` cannot be read`, (error as Error).message);
  }
}
