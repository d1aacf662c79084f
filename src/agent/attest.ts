import type { Socket } from 'node:net';
import { fail, ok, type Result } from '#lib';
import type { WorkloadAttestor } from './attestors/workload-attestor.ts';
import type { CredentialSource, PeerCredentials } from './credentials.ts';
import type { ProcessTable } from './process-table.ts';

/** The process behind a connection, known since the connection was accepted. */
export type LocalPeer = PeerCredentials & { readonly startTime: number };

/** Finds out who local processes are. */
export type Attestor = {
  /** Whom a new connection comes from; fails in words where the kernel cannot say. */
  readonly identify: (socket: Socket) => Result<LocalPeer, string>;
  /** What is true of the peer now, as selectors; fails once its process is gone. */
  readonly attest: (peer: LocalPeer) => Promise<Result<readonly string[], string>>;
};

/** What an attestor asks. */
export type AttestorOptions = {
  readonly credentials: CredentialSource;
  readonly processes: ProcessTable;
  readonly attestors: readonly WorkloadAttestor[];
};

/** Creates the attestor of one agent. */
export function createAttestor({ credentials, processes, attestors }: AttestorOptions): Attestor {
  return {
    identify(socket) {
      const peer = credentials.credentialsOf(socket);
      if (!peer.ok) return peer;
      const process = processes.read(peer.value.pid);
      if (process === undefined) return fail(`process ${peer.value.pid} is gone`);
      return ok({ ...peer.value, startTime: process.startTime });
    },
    async attest(peer) {
      if (!isSameProcess(processes, peer)) return fail(`process ${peer.pid} is gone`);
      const process = { ...peer, cgroups: processes.cgroups(peer.pid) };
      const found = await Promise.all(attestors.map((each) => each.selectorsOf(process)));
      // SECURITY: what was read in between belongs to the peer only if its process is still the same one.
      if (!isSameProcess(processes, peer)) return fail(`process ${peer.pid} is gone`);
      return ok(found.flat());
    },
  };
}

function isSameProcess(processes: ProcessTable, peer: LocalPeer): boolean {
  // SECURITY: the pidfd means the process that connected: while that runs, nobody else has its pid. Without one (before
  // Linux 6.5) pid and start time together name a process.
  if (peer.isAlive !== undefined) return peer.isAlive();
  return processes.read(peer.pid)?.startTime === peer.startTime;
}
