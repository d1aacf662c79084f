import { join } from 'node:path';
import {
  type DataFolder,
  fileProblem,
  layoutOf,
  type MeshSettings,
  readMeshSettings,
  shownPath,
} from '#client';
import type { TrustRoot } from '#trust';
import { initializeMesh, writeMeshSettings } from './first-run.ts';
import { makePrivateFolder } from './private-file.ts';
import { acquireLock, type ProcessLock } from './process-lock.ts';
import { explainAuthorityError, StartError } from './start-error.ts';

/** A data folder whose keys exist and whose lock(s) this process holds. */
export type MeshFolder = {
  readonly folder: DataFolder;
  readonly trustRoot: TrustRoot;
  readonly settings: MeshSettings;
  readonly release: () => void;
};

/** A part of a mesh that has a folder and a lock of its own. */
export type Part = 'ca' | 'control' | 'agent';

/** Opens (on first use: makes) the mesh in `dataDir` for the process that plays `parts`. Throws `StartError`. */
export function openMeshFolder(options: {
  readonly dataDir: string;
  readonly command: string;
  readonly parts: readonly Part[];
  readonly trustDomain?: string | undefined;
  readonly settings?: Partial<MeshSettings>;
}): MeshFolder {
  const folder = layoutOf(options.dataDir);
  refuseLongPath(folder);
  const locks: ProcessLock[] = [];
  try {
    makePrivateFolder(folder.root);
    for (const part of options.parts) makePrivateFolder(folder[part].folder);
    for (const part of options.parts) locks.push(takeLock(folder, part, options.command));
    const trustRoot = initializeMesh({
      folder,
      trustDomain: options.trustDomain,
      nowMs: Date.now(),
    });
    if (!trustRoot.ok)
      throw new StartError(
        trustRoot.error,
        'use another data folder with --data, or leave --trust-domain out',
      );
    const settings = mergeSettings(folder, trustRoot.value, options.settings);
    return { folder, trustRoot: trustRoot.value, settings, release: () => releaseAll(locks) };
  } catch (error) {
    releaseAll(locks);
    throw asStartError(error, folder);
  }
}

/** What a Unix socket's address holds, without its end; sys/un.h. */
const MAX_SOCKET_PATH_BYTES = 107;

// Told before keys are made in a folder in which no agent can ever listen.
function refuseLongPath({ root, agent }: DataFolder): void {
  const tooMany = Buffer.byteLength(agent.socket) - MAX_SOCKET_PATH_BYTES;
  if (tooMany <= 0) return;
  const longest = Buffer.byteLength(root) - tooMany;
  throw new StartError(
    `the path of the data folder \`${shownPath(root)}\` is too long for the agent's socket in it`,
    `name one of at most ${longest} bytes with --data`,
  );
}

function takeLock(folder: DataFolder, part: Part, command: string): ProcessLock {
  const lock = acquireLock(join(folder[part].folder, 'lock'), command);
  if (lock.ok) return lock.value;
  const { pid, command: holder } = lock.error;
  throw new StartError(
    `\`palisade ${holder}\` (process ${pid}) has the data folder \`${folder.root}\` already`,
    `stop it (kill ${pid}), or use another folder with --data`,
  );
}

function mergeSettings(
  folder: DataFolder,
  trustRoot: TrustRoot,
  given: Partial<MeshSettings> = {},
): MeshSettings {
  const stored = readMeshSettings(folder);
  const settings = {
    api: 'https://127.0.0.1:7700',
    grpc: '127.0.0.1:7701',
    ca: '127.0.0.1:7702',
    console: 'http://127.0.0.1:7703',
    agentSocket: folder.agent.socket,
    strict: false,
    ...(stored.ok ? stored.value : {}),
    ...given,
    trustDomain: trustRoot.trustDomain,
  };
  if (!stored.ok || JSON.stringify(stored.value) !== JSON.stringify(settings))
    writeMeshSettings(folder, settings);
  return settings;
}

function releaseAll(locks: readonly ProcessLock[]): void {
  for (const lock of locks) lock.release();
}

function asStartError(error: unknown, folder: DataFolder): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof StartError) return error;
  // On first use the authority's keys are made here.
  if (typeof code !== 'string') return explainAuthorityError(error) as Error;
  if (code === 'ENOSPC')
    return new StartError(
      `the disk of \`${folder.root}\` is full`,
      'free some space and start again: nothing was lost',
    );
  const problem = fileProblem(error);
  if (problem === undefined) return error as Error;
  return new StartError(
    `cannot write to the data folder \`${shownPath(folder.root)}\`: ${problem}`,
    'name a folder you may write to with --data',
  );
}
