import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  createKeyPair,
  createRoot,
  derToPem,
  issueX509Svid,
  parseSpiffeId,
  parseTrustDomain,
} from '#identity';
import { createLog } from '#telemetry';
import { createKubelet, parsePods } from './kubelet.ts';
import { createKubernetesAttestor } from './kubernetes.ts';

const ID = '0123456789abcdef'.repeat(4);
const UID = '8b1fa2b6-7c9a-4c54-9f5e-0d7d8e2a1f00';
const POD = {
  metadata: { namespace: 'shop', name: 'web-0', uid: UID, labels: { app: 'web', tier: '' } },
  spec: { serviceAccountName: 'web', nodeName: 'node-1' },
  status: {
    containerStatuses: [
      { name: 'server', image: 'example.org/web:1', containerID: `containerd://${ID}` },
      { name: 'waiting', image: 'example.org/log:1' },
    ],
  },
};
const folder = mkdtempSync(join(tmpdir(), 'palisade-kubelet-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
}

/** A kubelet as a node has it: HTTPS with a certificate in the node's name, and a token demanded. */
async function startKubelet(answer: () => { status: number; body: string }) {
  const trustDomain = parseTrustDomain('example.org');
  const id = parseSpiffeId('spiffe://example.org/kubelet');
  assert.ok(trustDomain.ok && id.ok);
  const nowMs = Date.now();
  const root = createRoot({ trustDomain: trustDomain.value, nowMs, ttlMs: 3_600_000 });
  const { privateKey, publicKey } = createKeyPair();
  const leaf = issueX509Svid({
    issuer: root,
    id: id.value,
    publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
    serial: Buffer.alloc(16, 1),
    notBefore: nowMs - 1000,
    expiresAt: nowMs + 3_600_000,
    dnsNames: ['node-1'],
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const server = createServer({ key, cert: derToPem(leaf) }, (request, response) => {
    const isKnown = request.headers.authorization === 'Bearer of-the-agent';
    const { status, body } = isKnown ? answer() : { status: 401, body: 'Unauthorized' };
    response.writeHead(request.url === '/pods' ? status : 404).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    url: `https://127.0.0.1:${address.port}`,
    caFile: file('ca.pem', root.certificatePem),
    close: () => server.close(),
  };
}

async function selectorsOf(
  options: { readonly token?: string; readonly nodeName?: string; readonly cgroup?: string },
  answer: () => { status: number; body: string },
): Promise<readonly string[]> {
  const { url, caFile, close } = await startKubelet(answer);
  const kubelet = createKubelet({
    url,
    caFile,
    tokenFile: file('token', `${options.token ?? 'of-the-agent'}\n`),
    nodeName: options.nodeName ?? 'node-1',
    log: createLog({ name: 'test', level: 'silent' }),
    retryMs: 1,
  });
  const attestor = createKubernetesAttestor(kubelet);
  const found = await attestor.selectorsOf({
    pid: 7,
    uid: 0,
    gid: 0,
    startTime: 1,
    isAlive: undefined,
    cgroups: [options.cgroup ?? `/kubepods/pod${UID}/${ID}`],
  });
  close();
  return found;
}

const list = (...items: readonly unknown[]) => ({ status: 200, body: JSON.stringify({ items }) });

test('what the kubelet says of a pod becomes selectors', async () => {
  assert.deepEqual(await selectorsOf({}, () => list({ metadata: {} }, POD)), [
    'k8s:ns:shop',
    'k8s:sa:web',
    'k8s:pod-name:web-0',
    `k8s:pod-uid:${UID}`,
    'k8s:node-name:node-1',
    'k8s:pod-label:app:web',
    'k8s:pod-label:tier:',
    'k8s:container-name:server',
    'k8s:container-image:example.org/web:1',
  ]);
});

test('a container that the kubelet names a little later is waited for', async () => {
  let asked = 0;
  const found = await selectorsOf({}, () => (++asked < 3 ? list() : list(POD)));
  assert.equal(found[0], 'k8s:ns:shop');
  assert.equal(asked, 3);
});

function checkNothing(
  name: string,
  options: Parameters<typeof selectorsOf>[0],
  answer: () => { status: number; body: string } = () => list(POD),
): void {
  test(name, async () => assert.deepEqual(await selectorsOf(options, answer), []));
}

checkNothing('a process outside of any pod', { cgroup: '/user.slice' });
checkNothing('attack: a container id in the pod of another', {
  cgroup: `/kubepods/pod${UID}/${'f'.repeat(64)}`,
});
checkNothing('a token the kubelet does not take', { token: 'stale' });
checkNothing('attack: another server in place of the kubelet', { nodeName: 'node-2' });
checkNothing('an answer that is no JSON', {}, () => ({ status: 200, body: '<html>' }));
checkNothing('an answer of another shape', {}, () => ({
  status: 200,
  body: '{"items":[1,null,{}]}',
}));
checkNothing('an error', {}, () => ({ status: 500, body: '' }));

test('what is no list of pods is none', () => {
  assert.deepEqual(parsePods({ items: 'x' }), []);
  assert.deepEqual(parsePods(null), []);
});
