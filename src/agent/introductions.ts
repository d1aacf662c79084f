import { fail, ok, type Result } from '#lib';
import type { ProcessInfo, ProcessTable } from './process-table.ts';
import type { StateFolder } from './state-folder.ts';

/** A service that a process (and all it starts) was introduced as. */
export type ServiceName = { readonly namespace: string; readonly service: string };

type Introduction = ServiceName & { readonly pid: number; readonly startTime: number };

/** Which processes were introduced as which service. */
export type Introductions = {
  /** Remembers that `pid` is `service`; fails in words where that is not allowed. */
  readonly introduce: (pid: number, service: ServiceName) => Result<true, string>;
  /** The service of the nearest introduced one among the process and its ancestors. */
  readonly serviceOf: (pid: number) => ServiceName | undefined;
  /** Resolves when what was introduced is on disk. */
  readonly saved: () => Promise<void>;
};

const FILE = 'introductions.json';
const MAX_ANCESTORS = 256;
const MAX_INTRODUCTIONS = 10_000;
// RFC 1123 2.1: names that can be part of a host name, as resources demand.
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Opens the introductions of earlier runs of this boot; those whose process is gone are forgotten. */
export function createIntroductions(folder: StateFolder, processes: ProcessTable): Introductions {
  const known = new Map<number, Introduction>();
  for (const entry of readIntroductions(folder, processes.bootId())) known.set(entry.pid, entry);
  let saved = Promise.resolve();

  const find = (process: ProcessInfo): Introduction | undefined => {
    const entry = known.get(process.pid);
    // SECURITY: the same pid with another start time is another process.
    return entry?.startTime === process.startTime ? entry : undefined;
  };

  function nearest(pid: number): Introduction | undefined {
    if (known.size === 0) return undefined;
    let process = processes.read(pid);
    for (let depth = 0; process !== undefined && depth < MAX_ANCESTORS; depth++) {
      const entry = find(process);
      if (entry !== undefined) return entry;
      const parent = processes.read(process.parentPid);
      // SECURITY: a "parent" younger than its child took over the pid of one that ended meanwhile.
      if (parent === undefined || parent.startTime > process.startTime) return undefined;
      process = parent;
    }
    return undefined;
  }

  function forgetGone(): void {
    for (const [pid, entry] of known) {
      if (processes.read(pid)?.startTime !== entry.startTime) known.delete(pid);
    }
  }

  return {
    introduce(pid, service) {
      if (!LABEL.test(service.namespace) || !LABEL.test(service.service)) {
        return fail('a namespace and a service are lower-case letters, digits and `-`');
      }
      const process = processes.read(pid);
      if (process === undefined) return fail('the process is gone');
      const before = nearest(pid);
      if (before !== undefined) {
        const isSame =
          before.pid === pid &&
          before.namespace === service.namespace &&
          before.service === service.service;
        // SECURITY: else any program under `palisade run` could make itself another service.
        return isSame
          ? ok(true)
          : fail(`the process runs as \`${before.namespace}/${before.service}\` already`);
      }
      forgetGone();
      if (known.size >= MAX_INTRODUCTIONS) return fail('too many processes are introduced');
      const { namespace, service: name } = service;
      known.set(pid, { pid, startTime: process.startTime, namespace, service: name });
      const file = { bootId: processes.bootId(), processes: [...known.values()] };
      // A write that fails costs no more than that an agent's restart forgets the process.
      saved = saved.then(() => folder.writeJson(FILE, file)).catch(() => {});
      return ok(true);
    },
    serviceOf: nearest,
    saved: () => saved,
  };
}

function readIntroductions(folder: StateFolder, bootId: string): readonly Introduction[] {
  const file = folder.readJson(FILE);
  if (typeof file !== 'object' || file === null || !('processes' in file)) return [];
  // After a boot the same numbers name other processes.
  if (!('bootId' in file) || file.bootId !== bootId || bootId === '') return [];
  return Array.isArray(file.processes) ? file.processes.filter(isIntroduction) : [];
}

function isIntroduction(value: unknown): value is Introduction {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, startTime, namespace, service } = value as Record<string, unknown>;
  return (
    Number.isSafeInteger(pid) &&
    Number.isSafeInteger(startTime) &&
    typeof namespace === 'string' &&
    typeof service === 'string'
  );
}
