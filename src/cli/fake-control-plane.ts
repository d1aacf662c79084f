import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { layoutOf } from '#client';
import {
  createKeyPair,
  createRoot,
  createSelfSignedClient,
  derToPem,
  issueX509Svid,
  parseSpiffeId,
  parseTrustDomain,
} from '#identity';
import { createPolicyKey, loadSigner, signTrustRoot } from '#trust';

const HOUR_MS = 3_600_000;
const TRUST_DOMAIN = 'cluster.local';

/** A control plane that answers `METHOD /path` (below `/api/v1`, with the query) by a table, and a data folder that leads to it. */
export type FakeControlPlane = {
  readonly dataDir: string;
  readonly server: string;
  /** What was asked for, as `METHOD /path`. */
  readonly asked: readonly string[];
  readonly close: () => void;
};

/** Starts one; what is not in the table is 404, as an older control plane answers what it does not know. */
export async function startFakeControlPlane(
  answers: Readonly<Record<string, unknown>>,
): Promise<FakeControlPlane> {
  const dataDir = mkdtempSync(join(tmpdir(), 'palisade-fake-control-'));
  const asked: string[] = [];
  const { tls, rootDer } = identityOfServer();
  const server = createServer(tls, (request, response) => {
    const key = `${request.method} ${(request.url ?? '').slice('/api/v1'.length)}`;
    asked.push(key);
    answer(request, response, answers[key]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeDataFolder(dataDir, address, rootDer);
  return {
    dataDir,
    server: address,
    asked,
    close() {
      server.closeAllConnections();
      server.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, value: unknown): void {
  const path = (request.url ?? '').split('?')[0];
  const status = value === undefined ? 404 : 200;
  const detail = `there is no \`${request.method} ${path}\``;
  const body = value ?? {
    status,
    code: 'not_found',
    title: 'There is nothing of that name',
    detail,
  };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function identityOfServer() {
  const trustDomain = parseTrustDomain(TRUST_DOMAIN);
  const id = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/palisade/control`);
  if (!trustDomain.ok || !id.ok) throw new Error('the fake names are no names');
  const nowMs = Date.now();
  const issuer = createRoot({ trustDomain: trustDomain.value, nowMs, ttlMs: HOUR_MS });
  const { publicKey, privateKey } = createKeyPair();
  const der = issueX509Svid({
    issuer,
    id: id.value,
    publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
    serial: Buffer.alloc(16, 7),
    notBefore: nowMs - 60_000,
    expiresAt: nowMs + HOUR_MS / 2,
  });
  return {
    tls: { cert: derToPem(der), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    rootDer: issuer.rootDer,
  };
}

function writeDataFolder(dataDir: string, api: string, rootDer: Uint8Array): void {
  const folder = layoutOf(dataDir);
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  const root = {
    version: 1,
    trustDomain: TRUST_DOMAIN,
    x509Roots: [Buffer.from(rootDer).toString('base64')],
    policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'ann', namespaces: ['*'] }],
    threshold: 1,
    issuanceLogKey: createPolicyKey().publicKey,
    issuedAt: new Date(Date.now() - 1_000).toISOString(),
  };
  const admin = createSelfSignedClient({ commonName: 'ann', nowMs: Date.now(), ttlMs: HOUR_MS });
  const settings = {
    trustDomain: TRUST_DOMAIN,
    api,
    grpc: '127.0.0.1:1',
    ca: '127.0.0.1:1',
    console: 'http://127.0.0.1:1',
    agentSocket: folder.agent.socket,
  };
  const files: Readonly<Record<string, string>> = {
    [folder.meshSettings]: JSON.stringify(settings),
    [folder.trustRoot]: JSON.stringify(signTrustRoot(root, [signer.value])),
    [folder.admin.key]: admin.privateKeyPem,
    [folder.admin.certificate]: admin.certificatePem,
    [folder.author.key]: key.privateKeyPem,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
  }
}
