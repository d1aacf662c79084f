import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
  /** The key of the hashes in its records, made once. */
  readonly hashKey: () => Buffer;
  readonly release: () => void;
};

const MAX_INSTANCES = 1000;
const HASH_KEY_BYTES = 32;

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
    const hashKey = () => readHashKey(join(path, 'redaction.key'));
    return { path, describe, hashKey, release: lock.value.release };
  }
  throw new StartError(
    `${MAX_INSTANCES} proxies of \`${workload.service}\` run already`,
    'stop some of them',
  );
}

function readHashKey(path: string): Buffer {
  try {
    const stored = Buffer.from(readFileSync(path, 'utf8'), 'base64url');
    if (stored.length === HASH_KEY_BYTES) return stored;
  } catch {
    // The first start of this proxy.
  }
  const key = randomBytes(HASH_KEY_BYTES);
  try {
    writeFileDurably(path, key.toString('base64url'));
  } catch {
    // A full disk: hashes of this start are comparable among themselves alone.
  }
  return key;
}
