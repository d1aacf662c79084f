// A whole agent for this layer's tests, with what it talks to and who talks to it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after } from 'node:test';
import { type ClientReadableStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ok } from '#lib';
import { createSilentLog } from '#telemetry';
import { createGrpcClient, Host, SpiffeWorkloadAPI } from '#wire';
import { createAgent } from './agent.ts';
import type { CredentialSource } from './credentials.ts';
import { createFakeAuthority } from './fake-ca.ts';
import {
  createFakeDistribution,
  type FakeMesh,
  registration,
  type SignedSet,
  service,
  setMessage,
  signSet,
  startMeshServer,
  TRUST_DOMAIN,
} from './fake-mesh.ts';

const uid = process.getuid?.() ?? 0;
let folders = 0;
const running = new Set<() => Promise<void>>();
// A test that failed before it ended its world would otherwise keep the file's process, and with it the run, for ever.
after(async () => {
  for (const end of running) await end();
});

/** How a test's agent differs from the usual one. */
export type WorldOptions = {
  readonly folder?: string;
  /** What the agent asks for time; Node.js' own clock unless told. */
  readonly clock?: () => number;
  readonly ttlMs?: number;
  readonly credentials?: CredentialSource;
  readonly log?: ReturnType<typeof createSilentLog>;
};

/** An agent between a fake authority and a fake control plane, and clients on its socket; all of it real gRPC. */
export async function startWorld(mesh: FakeMesh, options: WorldOptions = {}) {
  const folder = options.folder ?? join(mesh.folder, `agent-${++folders}`);
  const registered = signSet(mesh, [service('web'), registration('web', [`unix:uid:${uid}`])]);
  const socketPath = join(folder, 'a.sock');
  const authority = createFakeAuthority(mesh, options.ttlMs);
  const control = createFakeDistribution();
  const caServer = await startMeshServer(mesh, '/palisade/ca', [authority.service]);
  const controlServer = await startMeshServer(mesh, '/palisade/control', control.services);
  const agent = await createAgent({
    ...optionsFor(mesh, folder, socketPath),
    caAddress: caServer.address,
    controlAddress: controlServer.address,
    ...(options.credentials && { credentials: options.credentials }),
    ...(options.log && { log: options.log }),
    ...(options.clock && { clock: options.clock }),
  });
  assert.ok(agent.ok, agent.ok ? '' : agent.error);
  const started = agent.value;
  const workload = createGrpcClient(SpiffeWorkloadAPI, { kind: 'unix', path: socketPath });
  const host = createGrpcClient(Host, { kind: 'unix', path: socketPath });
  const open = (metadata = withHeader()) =>
    readerOf(workload.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, metadata));
  const self = await control.until(() => control.subscribers[0]);
  assert.equal(self.hello.spiffeId, `spiffe://${TRUST_DOMAIN}/palisade/agent/test-host`);
  assert.deepEqual(self.hello.namespaces, ['*']);
  async function sync(set: SignedSet): Promise<void> {
    self.send(setMessage(set));
    await control.until(() =>
      self.acks.find(({ enforced }) => enforced.some(({ hash }) => hash === set.head.hash)),
    );
  }
  async function end(): Promise<void> {
    running.delete(end);
    workload.close();
    host.close();
    await started.close();
    await caServer.close();
    await controlServer.close();
  }
  running.add(end);
  return {
    folder,
    socketPath,
    authority,
    control,
    workload,
    host,
    open,
    sync,
    registered,
    register: () => sync(registered),
    async fetchSvid() {
      const stream = open();
      const response = await stream.next();
      stream.cancel();
      return response;
    },
    fetchError: (metadata = withHeader()) => open(metadata).error(),
    end,
  };
}

/** What an agent that reaches nobody is started with. */
export function optionsFor(mesh: FakeMesh, folder: string, socketPath: string) {
  return {
    folder,
    socketPath,
    trustRootFile: mesh.trustRootFile,
    caAddress: '127.0.0.1:1',
    controlAddress: '127.0.0.1:1',
    joinToken: mesh.joinToken,
    hostName: 'test-host',
    clock: Date.now,
    log: createSilentLog(),
  };
}

/** The metadata that every call to the Workload API needs. */
export function withHeader(): Metadata {
  const metadata = new Metadata();
  metadata.set('workload.spiffe.io', 'true');
  return metadata;
}

/** The kernel's word replaced by a test's, about this very process. */
export function fakeCredentials(of: { uid: number; isAlive?: () => boolean }): CredentialSource {
  return {
    credentialsOf: () =>
      ok({ pid: process.pid, uid: of.uid, gid: 0, isAlive: of.isAlive ?? (() => true) }),
  };
}

type Ends = { readonly on: (event: 'error' | 'end' | 'data', listener: () => void) => unknown };

/** Reads a stream message by message. */
export function readerOf<T>(stream: ClientReadableStream<T>) {
  const messages: T[] = [];
  const waiting: ((message: T) => void)[] = [];
  const failed = errorOf(stream);
  stream.on('data', (message: T) => {
    const next = waiting.shift();
    if (next === undefined) messages.push(message);
    else next(message);
  });
  return {
    next: (): Promise<T> => {
      const message = messages.shift();
      if (message !== undefined) return Promise.resolve(message);
      const next = new Promise<T>((resolve) => waiting.push(resolve));
      return Promise.race([
        next,
        failed.then((code) => Promise.reject(new Error(`status ${code}`))),
      ]);
    },
    error: () => failed,
    cancel: () => stream.cancel(),
  };
}

/** The status a stream ends with; undefined if it ends well. */
export function errorOf(stream: Ends): Promise<number | undefined> {
  return new Promise((resolve) => {
    stream.on('error', ((error: ServiceError) => resolve(error.code)) as () => void);
    stream.on('end', () => setImmediate(() => resolve(undefined)));
    stream.on('data', () => {});
  });
}
