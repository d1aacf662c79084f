import type { Socket } from 'node:net';
import { fail, ok, type Result } from '#lib';
import type { Accounts } from './accounts.ts';
import type { CredentialSource, PeerCredentials } from './credentials.ts';
import type { Introductions } from './introductions.ts';
import type { ProcessTable } from './process-table.ts';

/** The process behind a connection, known since the connection was accepted. */
export type LocalPeer = PeerCredentials & { readonly startTime: number };

/** Finds out who local processes are. */
export type Attestor = {
  /** Whom a new connection comes from; fails in words where the kernel cannot say. */
  readonly identify: (socket: Socket) => Result<LocalPeer, string>;
  /** What is true of the peer now, as selectors; fails once its process is gone. */
  readonly attest: (peer: LocalPeer) => Result<readonly string[], string>;
};

/** What an attestor asks. */
export type AttestorOptions = {
  readonly credentials: CredentialSource;
  readonly processes: ProcessTable;
  readonly accounts: Accounts;
  readonly introductions: Introductions;
};

/** Creates the attestor of one agent. */
export function createAttestor(options: AttestorOptions): Attestor {
  const { credentials, processes } = options;
  return {
    identify(socket) {
      const peer = credentials.credentialsOf(socket);
      if (!peer.ok) return peer;
      const process = processes.read(peer.value.pid);
      if (process === undefined) return fail(`process ${peer.value.pid} is gone`);
      return ok({ ...peer.value, startTime: process.startTime });
    },
    attest(peer) {
      if (!isSameProcess(processes, peer)) return fail(`process ${peer.pid} is gone`);
      const selectors = selectorsOf(options, peer);
      // SECURITY: what was read in between belongs to the peer only if its process is still the same one.
      if (!isSameProcess(processes, peer)) return fail(`process ${peer.pid} is gone`);
      return ok(selectors);
    },
  };
}

function isSameProcess(processes: ProcessTable, peer: LocalPeer): boolean {
  if (peer.isAlive !== undefined && !peer.isAlive()) return false;
  return processes.read(peer.pid)?.startTime === peer.startTime;
}

function selectorsOf(options: AttestorOptions, peer: LocalPeer): readonly string[] {
  const { processes, accounts, introductions } = options;
  const user = accounts.user(peer.uid);
  const group = accounts.group(peer.gid);
  const executable = processes.executable(peer.pid);
  const service = introductions.serviceOf(peer.pid);
  return [
    `unix:uid:${peer.uid}`,
    `unix:gid:${peer.gid}`,
    ...(user === undefined ? [] : [`unix:user:${user}`]),
    ...(group === undefined ? [] : [`unix:group:${group}`]),
    ...(executable === undefined ? [] : [`unix:path:${executable}`]),
    ...(service === undefined ? [] : [`palisade:service:${service.namespace}/${service.service}`]),
  ];
}
