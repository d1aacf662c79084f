import { findFreePort } from './free-port.ts';
import type { RunRequest } from './run.ts';
import { type Sidecar, startSidecar } from './sidecar.ts';

/** A sidecar whose process loads its code and waits, and the port that its application will listen on. */
export type LaunchedSidecar = { readonly sidecar: Sidecar; readonly appPort: number };

/** Starts the sidecar's process first of all: it loads its code while the rest of `palisade run` does so too. */
export async function launchSidecar(request: RunRequest): Promise<LaunchedSidecar> {
  const appPort = request.appPort ?? (await findFreePort());
  const sidecar = startSidecar({
    arguments: sidecarArguments(request, appPort),
    inboundPort: request.inboundPort,
    onRestart: (reason) =>
      process.stderr.write(
        `palisade: the sidecar of ${request.service} is started again: ${reason}\n`,
      ),
  });
  return { sidecar, appPort };
}

function sidecarArguments(request: RunRequest, appPort: number): readonly string[] {
  return [
    '--data',
    request.dataDir,
    '--namespace',
    request.namespace,
    '--service',
    request.service,
    '--app-port',
    String(appPort),
    ...request.upstreams.flatMap(({ service, port, localPort }) => [
      '--upstream',
      `${service}${port === undefined ? '' : `:${port}`}=${localPort}`,
    ]),
    ...(request.verbose ? ['--verbose'] : []),
  ];
}
