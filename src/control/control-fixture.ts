import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSelfSignedClient, type SelfSignedClient } from '#identity';
import { createSilentLog } from '#telemetry';
import {
  createCommit,
  createPolicyKey,
  loadSigner,
  type PolicySet,
  type PolicySigner,
  signTrustRoot,
  type TrustRoot,
} from '#trust';
import { createGrpcClient, type Distribution, type GrpcClient, type Telemetry } from '#wire';
import { createControl } from './control.ts';
import type { Control, ControlOptions } from './control-options.ts';
import { createFakeAuthority, type FakeAuthority } from './fake-authority.ts';

/** An answer of the API or the console. */
export type Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read members of whatever came and fail where they are not
  readonly json: any;
};

/** A running control plane with everything around it, in a folder of its own. */
export type Fixture = {
  readonly control: () => Control;
  readonly folder: string;
  readonly trustRoot: TrustRoot;
  readonly signer: PolicySigner;
  readonly authority: FakeAuthority;
  readonly admin: SelfSignedClient;
  /** Ends the control plane and starts it again in the same folder. */
  readonly restart: () => Promise<void>;
  /** Calls the API as the admin, or as another client. */
  readonly call: (method: string, path: string, options?: CallOptions) => Promise<Answer>;
  readonly console: (
    method: string,
    path: string,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  /** Signs the next commit as the author would. */
  readonly commit: (options: CommitOptions) => ReturnType<typeof createCommit>;
  /** Signs and hands in the resources as the namespace's first set. */
  readonly apply: (
    namespace: string,
    resources: Readonly<Record<string, unknown>>,
    ttlMs?: number,
  ) => Promise<Answer>;
  /** A client of the gRPC port, as a SPIFFE ID of the mesh. */
  readonly grpc: (service: typeof Distribution | typeof Telemetry, id?: string) => GrpcClient;
  readonly close: () => Promise<void>;
};

type CallOptions = {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Undefined: none. */
  readonly client?: Pick<SelfSignedClient, 'certificatePem' | 'privateKeyPem'> | undefined;
};

type CommitOptions = {
  readonly namespace: string;
  readonly resources: Readonly<Record<string, unknown>>;
  readonly parent?: PolicySet['head'] | undefined;
  readonly signer?: PolicySigner;
  /** An hour unless told. */
  readonly ttlMs?: number | undefined;
};

const HOUR_MS = 3_600_000;

/**
 * Starts a control plane on free ports of 127.0.0.1, with the console of `assets` or one of two files, under an
 * authority whose certificates last an hour unless told, by the clock of this machine or another one.
 */
export async function startFixture(
  about: {
    readonly assets?: string;
    readonly certificateTtlMs?: number;
    readonly clock?: () => number;
  } = {},
): Promise<Fixture> {
  const { assets, certificateTtlMs, clock = Date.now } = about;
  const folder = mkdtempSync(join(tmpdir(), 'palisade-control-'));
  const authority = createFakeAuthority('cluster.local', certificateTtlMs);
  const caAddress = await authority.listen();
  const { root, signer } = writeTrustRoot(folder, authority);
  const admin = writeFiles(folder);
  const options = { ...controlOptions(folder, caAddress), clock };
  const start = () => createControl({ ...options, consoleAssets: assets ?? options.consoleAssets });
  let control = await start();
  const clients: GrpcClient[] = [];

  const call: Fixture['call'] = (method, path, options = {}) =>
    send({ method, path, port: control.apiPort, client: admin, ...options });
  const commit: Fixture['commit'] = ({
    namespace,
    resources,
    parent,
    signer: by = signer,
    ttlMs,
  }) =>
    createCommit({
      trustDomain: 'cluster.local',
      namespace,
      parent,
      resources: new Map(Object.entries(resources)),
      author: 'ann',
      nowMs: Date.now(),
      ttlMs: ttlMs ?? HOUR_MS,
      signer: by,
    });
  return {
    control: () => control,
    folder,
    trustRoot: root,
    signer,
    authority,
    admin,
    async restart() {
      await control.close();
      control = await start();
    },
    call,
    console: (method, path, headers = {}) =>
      send({ method, path, port: control.consolePort ?? 0, headers, plain: true }),
    commit,
    apply(namespace, resources, ttlMs) {
      const { envelope } = commit({ namespace, resources, ttlMs });
      const changes = Object.entries(resources).map(([key, resource]) => ({ key, resource }));
      return call('POST', `/api/v1/policy-sets/${namespace}/commits`, {
        body: { envelope, changes },
        headers: { 'if-none-match': '*' },
      });
    },
    grpc(service, id = 'spiffe://cluster.local/palisade/agent/host') {
      const { rootsPem, ...client } = authority.issue(id);
      const made = createGrpcClient(service, {
        kind: 'tls',
        address: `127.0.0.1:${control.grpcPort}`,
        rootsPem,
        client,
        verifyServer: () => undefined,
      });
      clients.push(made);
      return made;
    },
    async close() {
      for (const client of clients) client.close();
      await control.close();
      await authority.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A Service as the CLI would store it. */
export function serviceResource(namespace: string, name: string): unknown {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ports: [{ name: 'http', port: 80, protocol: 'http' }] },
  };
}

/** A policy that lets `caller` GET everything of `service`. */
export function allowResource(namespace: string, service: string, caller: string): unknown {
  const principal = `cluster.local/ns/${namespace}/sa/${caller}`;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `${service}-callers`, namespace },
    spec: {
      selector: { matchLabels: { app: service } },
      action: 'ALLOW',
      rules: [
        {
          from: [{ source: { principals: [principal] } }],
          to: [{ operation: { methods: ['GET'] } }],
        },
      ],
    },
  };
}

function controlOptions(folder: string, caAddress: string): ControlOptions {
  const listen = { host: '127.0.0.1', port: 0 };
  return {
    folder: join(folder, 'control'),
    trustRootFile: join(folder, 'trust-root.json'),
    trustDomain: 'cluster.local',
    api: listen,
    grpc: listen,
    console: listen,
    consoleAssets: join(folder, 'dist'),
    ca: { address: caAddress },
    joinToken: () => readFileSync(join(folder, 'join-token'), 'utf8').trim(),
    adminsFile: join(folder, 'admins.json'),
    autoRegister: true,
    clock: Date.now,
    log: createSilentLog(),
  };
}

function writeFiles(folder: string): SelfSignedClient {
  const admin = createSelfSignedClient({ commonName: 'ann', nowMs: Date.now(), ttlMs: HOUR_MS });
  const admins = [{ name: 'ann', fingerprint: admin.fingerprint }];
  writeFileSync(join(folder, 'admins.json'), JSON.stringify(admins));
  writeFileSync(join(folder, 'join-token'), 'a join token for tests, long enough to be one');
  mkdirSync(join(folder, 'dist', 'assets'), { recursive: true });
  writeFileSync(join(folder, 'dist', 'index.html'), '<!doctype html><title>console</title>');
  writeFileSync(join(folder, 'dist', 'assets', 'app-Czs0xIVY.js'), 'export {};');
  writeFileSync(join(folder, 'secret.txt'), 'not below the assets');
  return admin;
}

function writeTrustRoot(folder: string, authority: FakeAuthority) {
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  const { keyId, publicKey } = key;
  const root: TrustRoot = {
    version: 1,
    trustDomain: 'cluster.local',
    x509Roots: [Buffer.from(authority.rootDer).toString('base64')],
    policyKeys: [{ keyId, publicKey, name: 'ann', namespaces: ['*'] }],
    threshold: 1,
    issuanceLogKey: createPolicyKey().publicKey,
    issuedAt: new Date(Date.now() - 1_000).toISOString(),
  };
  const envelope = signTrustRoot(root, [signer.value]);
  writeFileSync(join(folder, 'trust-root.json'), JSON.stringify(envelope));
  return { root, signer: signer.value };
}

function send(
  options: CallOptions & {
    readonly method: string;
    readonly path: string;
    readonly port: number;
    readonly plain?: boolean;
  },
): Promise<Answer> {
  const { method, path, port, client, body, plain = false } = options;
  const payload = typeof body === 'string' ? body : body && JSON.stringify(body);
  const headers: Record<string, string> = { ...options.headers };
  if (typeof payload === 'string') headers['content-type'] ??= 'application/json';
  const tls = plain
    ? {}
    : { rejectUnauthorized: false, key: client?.privateKeyPem, cert: client?.certificatePem };
  return new Promise((resolve, reject) => {
    const start = plain ? httpRequest : httpsRequest;
    const request = start({ host: '127.0.0.1', port, method, path, headers, agent: false, ...tls });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: parsed(text),
        });
      });
    });
    request.end(payload);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // An answer that is no JSON is checked by its text.
    return undefined;
  }
}

/** The SHA-256 of some text, lower-case hex, where a test needs a hash that nothing has. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
