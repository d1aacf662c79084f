// A real Envoy with the filters that Istio would make of policies, for tests to ask.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createKeyPair,
  createRoot,
  issueX509Svid,
  parseSpiffeId,
  parseTrustDomain,
} from '#identity';
import type { RbacRules } from '../../src/compile/testing/envoy-rbac.ts';
import {
  ORACLE_LISTS,
  type OracleConnection,
  type OracleRequest,
} from '../../src/compile/testing/oracle-requests.ts';

/** The rules of one set of policies, by action. */
export type OracleFilters = {
  readonly deny: RbacRules | undefined;
  readonly allow: RbacRules | undefined;
};

/** A running Envoy. */
export type OracleEnvoy = {
  /** The status that a request gets under the policies with this index; 200 means allowed. */
  readonly ask: (
    set: number,
    connection: OracleConnection,
    asked: OracleRequest,
  ) => Promise<number>;
  /** Processor time that it has used, in µs. */
  readonly cpuUs: () => number;
  readonly close: () => void;
};

const DAY_MS = 86_400_000;
const READY_MS = 15_000;

/** Starts Envoy on `port` of 127.0.0.1 with one route a set of policies; resolves when it accepts. */
export async function startOracleEnvoy(
  binary: string,
  port: number,
  filters: readonly OracleFilters[],
): Promise<OracleEnvoy> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-envoy-'));
  const authority = createAuthority();
  const server = authority.issue('td1/ns/foo/sa/orders');
  const signer = createSigner();
  const config = bootstrap({
    port,
    filters,
    ca: authority.rootPem,
    jwks: signer.jwks,
    ...server,
  });
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const envoy = spawn(
    binary,
    ['-c', file, '--use-dynamic-base-id', '--concurrency', '1', '-l', 'error'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  envoy.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8').slice(0, 4_000);
  });
  const agents = new Map<OracleConnection, Agent>();
  const close = (): void => {
    for (const agent of agents.values()) agent.destroy();
    envoy.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await accepting(envoy, port);
  } catch (error) {
    close();
    throw new Error(`Envoy did not start: ${said}`, { cause: error });
  }
  const agentOf = (connection: OracleConnection): Agent => {
    const known = agents.get(connection);
    if (known !== undefined) return known;
    const { ip, sni, caller } = connection;
    const { certificatePem, keyPem } = authority.issue(caller);
    const agent = new Agent({
      keepAlive: true,
      maxSockets: 2,
      localAddress: ip,
      servername: sni,
      cert: certificatePem,
      key: keyPem,
      // The name asked for is part of the question, not of whom the test trusts.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    });
    agents.set(connection, agent);
    return agent;
  };
  return {
    ask: (set, connection, asked) =>
      statusOf({ port, set, agent: agentOf(connection), connection, asked, signer }),
    cpuUs: () => cpuUsOf(envoy.pid ?? 0),
    close,
  };
}

// /proc/PID/stat, fields 14 and 15 (user and system), in ticks of 10 ms; the name before them may hold anything.
function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

type Signer = { readonly jwks: string; readonly token: (claims: object) => string };

function statusOf(options: {
  readonly port: number;
  readonly set: number;
  readonly agent: Agent;
  readonly connection: OracleConnection;
  readonly asked: OracleRequest;
  readonly signer: Signer;
}): Promise<number> {
  const { port, set, agent, connection, asked, signer } = options;
  return new Promise((resolve, reject) => {
    const message = httpsRequest(
      {
        host: connection.localIp,
        port,
        agent,
        method: asked.method,
        path: asked.path,
        servername: connection.sni,
        headers: {
          host: asked.host,
          'x-oracle-set': String(set),
          'content-length': '0',
          ...(asked.tenants.length > 0 && { 'x-tenant': [...asked.tenants] }),
          ...(asked.forwarded.length > 0 && { 'x-forwarded-for': [...asked.forwarded] }),
          ...(asked.claims && { authorization: `Bearer ${signer.token(asked.claims)}` }),
        },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    message.on('error', reject);
    message.end();
  });
}

function createAuthority() {
  const domain = parseTrustDomain('td1');
  if (!domain.ok) throw new Error(domain.error);
  const nowMs = Date.now();
  const root = createRoot({ trustDomain: domain.value, nowMs, ttlMs: DAY_MS });
  return {
    rootPem: root.certificatePem,
    issue(caller: string): { readonly certificatePem: string; readonly keyPem: string } {
      const id = parseSpiffeId(`spiffe://${caller}`);
      if (!id.ok) throw new Error(id.error);
      const { privateKey, publicKey } = createKeyPair();
      const serial = randomBytes(16);
      serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
      const der = issueX509Svid({
        issuer: root,
        id: id.value,
        publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
        serial,
        notBefore: nowMs - 60_000,
        expiresAt: nowMs + DAY_MS / 2,
      });
      return {
        certificatePem: new X509Certificate(der).toString(),
        keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      };
    },
  };
}

function createSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
  return { jwks: JSON.stringify({ keys: [jwk] }), token: (claims) => tokenOf(privateKey, claims) };
}

function tokenOf(key: KeyObject, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const expiry = Math.floor(Date.now() / 1000) + 3_600;
  const signed = `${part({ alg: 'ES256', kid: 'k' })}.${part({ ...claims, exp: expiry })}`;
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

async function accepting(envoy: ChildProcess, port: number): Promise<void> {
  const until = Date.now() + READY_MS;
  while (Date.now() < until && envoy.exitCode === null) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

type BootstrapOptions = {
  readonly port: number;
  readonly filters: readonly OracleFilters[];
  readonly ca: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly jwks: string;
};

const TYPES = 'type.googleapis.com/envoy.extensions';

function bootstrap(options: BootstrapOptions): object {
  const { port, ca, certificatePem, keyPem } = options;
  const tls = {
    '@type': `${TYPES}.transport_sockets.tls.v3.DownstreamTlsContext`,
    requireClientCertificate: true,
    commonTlsContext: {
      tlsCertificates: [
        {
          certificateChain: { inlineString: certificatePem },
          privateKey: { inlineString: keyPem },
        },
      ],
      validationContext: { trustedCa: { inlineString: ca } },
    },
  };
  const listener = {
    name: 'oracle',
    address: { socketAddress: { address: '127.0.0.1', portValue: port } },
    listenerFilters: [
      {
        name: 'tls',
        typedConfig: { '@type': `${TYPES}.filters.listener.tls_inspector.v3.TlsInspector` },
      },
    ],
    filterChains: [
      {
        transportSocket: { name: 'tls', typedConfig: tls },
        filters: [{ name: 'hcm', typedConfig: connectionManager(options) }],
      },
    ],
  };
  return { staticResources: { listeners: [listener] } };
}

/** Path settings and the treatment of `x-forwarded-for` are those of Istio's sidecars. */
function connectionManager({ filters, jwks }: BootstrapOptions): object {
  const rbac = `${TYPES}.filters.http.rbac.v3`;
  const provider = {
    issuer: 'https://id.example',
    localJwks: { inlineString: jwks },
    payloadInMetadata: 'payload',
    normalizePayloadInMetadata: { spaceDelimitedClaims: ['scope', 'permission', ...ORACLE_LISTS] },
    forward: true,
  };
  const jwt = {
    '@type': `${TYPES}.filters.http.jwt_authn.v3.JwtAuthentication`,
    providers: { id: provider },
    rules: [
      {
        match: { prefix: '/' },
        requires: {
          requiresAny: { requirements: [{ providerName: 'id' }, { allowMissing: {} }] },
        },
      },
    ],
  };
  const route = ({ deny, allow }: OracleFilters, set: number) => ({
    match: {
      prefix: '/',
      headers: [{ name: 'x-oracle-set', stringMatch: { exact: String(set) } }],
    },
    directResponse: { status: 200 },
    typedPerFilterConfig: Object.fromEntries(
      Object.entries({ deny, allow }).flatMap(([name, rules]) =>
        rules === undefined
          ? []
          : [[name, { '@type': `${rbac}.RBACPerRoute`, rbac: { rules } }] as const],
      ),
    ),
  });
  return {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: 'oracle',
    normalizePath: true,
    pathWithEscapedSlashesAction: 'KEEP_UNCHANGED',
    useRemoteAddress: false,
    httpFilters: [
      { name: 'jwt', typedConfig: jwt },
      { name: 'deny', typedConfig: { '@type': `${rbac}.RBAC` } },
      { name: 'allow', typedConfig: { '@type': `${rbac}.RBAC` } },
      { name: 'router', typedConfig: { '@type': `${TYPES}.filters.http.router.v3.Router` } },
    ],
    routeConfig: {
      name: 'oracle',
      virtualHosts: [{ name: 'all', domains: ['*'], routes: filters.map(route) }],
    },
  };
}
