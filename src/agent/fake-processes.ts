// A fake process table for tests: processes that start, end and have their pids reused as a test says.
import type { ProcessInfo, ProcessTable } from './process-table.ts';

/** A process table that a test changes. */
export type FakeProcesses = ProcessTable & {
  /** Puts a process there, in place of one with the same pid. */
  readonly start: (pid: number, parentPid: number, startTime: number) => void;
  readonly end: (pid: number) => void;
  bootedAs: string;
};

/** Creates one with init alone. */
export function createFakeProcesses(): FakeProcesses {
  const running = new Map<number, ProcessInfo>([[1, { pid: 1, parentPid: 0, startTime: 0 }]]);
  const fake: FakeProcesses = {
    bootedAs: 'boot-1',
    start: (pid, parentPid, startTime) => running.set(pid, { pid, parentPid, startTime }),
    end: (pid) => running.delete(pid),
    read: (pid) => running.get(pid),
    executable: (pid) => (running.has(pid) ? `/usr/bin/program-${pid}` : undefined),
    executableDigest: async (pid) => (running.has(pid) ? `${pid}`.padStart(64, '0') : undefined),
    supplementaryGroups: () => [],
    cgroups: () => ['/'],
    bootId: () => fake.bootedAs,
  };
  return fake;
}
