import { join } from 'node:path';
import type { DataFolder } from '#client';
import { makePrivateFolder, writeFileDurably } from './private-file.ts';
import { acquireLock } from './process-lock.ts';
import { StartError } from './start-error.ts';

/** The state of one proxy, held by one process at a time. */
export type ProxyFolder = {
  readonly path: string;
  /** Tells others of this machine where the proxy answers. */
  readonly describe: (facts: Readonly<Record<string, unknown>>) => void;
  readonly release: () => void;
};

const MAX_INSTANCES = 1000;

/** Takes the first free state folder of a workload: instances of one service each have their own, and find it again. */
export function takeProxyFolder(
  folder: DataFolder,
  workload: { readonly namespace: string; readonly service: string },
): ProxyFolder {
  makePrivateFolder(folder.proxies);
  for (let instance = 1; instance <= MAX_INSTANCES; instance += 1) {
    // A dot cannot stand in either name, so no two workloads share a folder.
    const name = `${workload.namespace}.${workload.service}${instance === 1 ? '' : `.${instance}`}`;
    const path = join(folder.proxies, name);
    makePrivateFolder(path);
    const lock = acquireLock(join(path, 'lock'), 'proxy');
    if (!lock.ok) continue;
    const describe = (facts: Readonly<Record<string, unknown>>) =>
      writeFileDurably(join(path, 'proxy.json'), JSON.stringify(facts));
    return { path, describe, release: lock.value.release };
  }
  throw new StartError(
    `${MAX_INSTANCES} proxies of \`${workload.service}\` run already`,
    'stop some of them',
  );
}
