import { existsSync, rmSync } from 'node:fs';
import {
  type Author,
  commitChanges,
  type DataFolder,
  loadAuthor,
  type MeshSettings,
  openSession,
  type Session,
} from '#client';
import { parseStoredResource, ROOT_NAMESPACE } from '#resource';
import type { Log } from '#telemetry';
import { findFreePort } from './free-port.ts';
import { type MeshFolder, openMeshFolder } from './mesh-folder.ts';
import { startAgent, startCa, startControl } from './mesh-processes.ts';
import { keepCommitsFresh } from './renew-commits.ts';
import { explainListenError, StartError } from './start-error.ts';
import { createProcessLog } from './start-log.ts';

/** What `palisade up` was asked for. */
export type UpRequest = {
  readonly dataDir: string;
  readonly trustDomain: string | undefined;
  readonly strict: boolean;
  /** API port; gRPC, CA and console take the next three; 0 takes free ones. */
  readonly port: number;
  /** How long audit records are kept; undefined: as long as by default. */
  readonly auditRetentionMs?: number | undefined;
  readonly verbose: boolean;
};

/** A running mesh. */
export type RunningMesh = {
  readonly folder: DataFolder;
  readonly settings: MeshSettings;
  readonly session: Session;
  /** A one-time link that signs a browser in. */
  readonly signInLink: () => string;
  readonly close: () => Promise<void>;
};

const HOST = '127.0.0.1';

/** Starts CA, control plane and agent in this process; resolves when all serve. Throws `StartError`. */
export async function startMesh(request: UpRequest): Promise<RunningMesh> {
  const ports = await portsFrom(request.port);
  const mesh = openMeshFolder({
    dataDir: request.dataDir,
    command: 'up',
    parts: ['ca', 'control', 'agent'],
    trustDomain: request.trustDomain,
    settings: { ...addressesOf(ports), strict: request.strict },
  });
  const log = createProcessLog({ name: 'up', verbose: request.verbose, folder: mesh.folder.root });
  const started: { close: () => Promise<void> | void }[] = [];
  const close = async () => {
    for (const part of started.toReversed()) await part.close();
    mesh.release();
  };
  try {
    const control = await startParts(mesh, { ...request, ports, log }, started);
    const session = openOwnSession(request.dataDir);
    await commitFirstMesh(session, mesh.trustRoot.trustDomain);
    started.push(keepCommitsFresh(session, log));
    return {
      folder: mesh.folder,
      settings: mesh.settings,
      session,
      signInLink: () => control.signInLink() ?? mesh.settings.console,
      close,
    };
  } catch (error) {
    await close();
    throw explainListenError(error, '--port, the first of four');
  }
}

type Ports = {
  readonly api: number;
  readonly grpc: number;
  readonly ca: number;
  readonly console: number;
};

async function startParts(
  mesh: MeshFolder,
  options: Pick<UpRequest, 'strict' | 'auditRetentionMs'> & {
    readonly ports: Ports;
    readonly log: Log;
  },
  started: { close: () => Promise<void> | void }[],
) {
  const { folder, trustRoot } = mesh;
  const { ports, log } = options;
  const shared = { folder, trustDomain: trustRoot.trustDomain };
  const caAddress = `${HOST}:${ports.ca}`;
  const controlAddress = `${HOST}:${ports.grpc}`;
  const listen = (port: number) => ({ host: HOST, port });
  started.push(
    await startCa({
      ...shared,
      log: log.child({ part: 'ca' }),
      listen: listen(ports.ca),
      control: controlAddress,
    }),
  );
  const control = await startControl({
    ...shared,
    log: log.child({ part: 'control' }),
    api: listen(ports.api),
    grpc: listen(ports.grpc),
    console: listen(ports.console),
    caAddress,
    strict: options.strict,
    auditRetentionMs: options.auditRetentionMs,
  });
  started.push(control);
  started.push(
    await startAgent({ ...shared, log: log.child({ part: 'agent' }), caAddress, controlAddress }),
  );
  return control;
}

async function portsFrom(first: number): Promise<Ports> {
  if (first === 0) {
    const [api = 0, grpc = 0, ca = 0, console = 0] = await Promise.all(
      [1, 2, 3, 4].map(() => findFreePort()),
    );
    return { api, grpc, ca, console };
  }
  return { api: first, grpc: first + 1, ca: first + 2, console: first + 3 };
}

function addressesOf(ports: Ports): Pick<MeshSettings, 'api' | 'grpc' | 'ca' | 'console'> {
  return {
    api: `https://${HOST}:${ports.api}`,
    grpc: `${HOST}:${ports.grpc}`,
    ca: `${HOST}:${ports.ca}`,
    console: `http://${HOST}:${ports.console}`,
  };
}

function openOwnSession(dataDir: string): Session {
  const session = openSession({ dataDir });
  if (session.ok) return session.value;
  throw new StartError(session.error, 'see `palisade doctor`');
}

// INVARIANT: a mesh always has its Mesh resource: a proxy that is shown no root namespace has no snapshot, and denies.
async function commitFirstMesh(session: Session, trustDomain: string): Promise<void> {
  const author = loadAuthor(session.folder);
  if (!author.ok) return;
  const mesh = parseStoredResource({
    apiVersion: 'palisade.dev/v1',
    kind: 'Mesh',
    metadata: { name: 'mesh', namespace: ROOT_NAMESPACE },
    spec: { trustDomain, defaultAction: 'deny' },
  });
  if (!mesh.ok) throw new Error(mesh.error);
  await commitMesh(session, author.value, mesh.value);
}

async function commitMesh(session: Session, author: Author, mesh: unknown): Promise<void> {
  const stored = await commitChanges({
    api: session.api,
    namespace: ROOT_NAMESPACE,
    trustRoot: session.trustRoot,
    author,
    changes: (live) =>
      live.set?.resources.has('Mesh/mesh') ? [] : [{ key: 'Mesh/mesh', resource: mesh }],
  });
  if (!stored.ok)
    throw new StartError(
      `the policy set of \`${ROOT_NAMESPACE}\` does not verify: ${stored.error.message}`,
      'restore the data folder from a backup',
    );
}

/** Removes a demo's data folder, which holds nothing of its user's. */
export function removeDataFolder(root: string): void {
  if (existsSync(root)) rmSync(root, { recursive: true, force: true });
}
