// The authority's key on a token, and then below an offline authority made with OpenSSL, under a mesh that goes on.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createSoftHsm, softHsmMissing } from '../../src/ca/keys/soft-hsm.ts';
import { finish, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { executableOf, goSpiffe } from './spiffe-peers.ts';

const ID = 'spiffe://cluster.local/ns/default/sa';
const ENVIRONMENT = ['SOFTHSM2_CONF', 'PALISADE_CA_KEYS', 'PALISADE_CA_PIN_FILE'] as const;

describe('an authority below another one', { skip: softHsmMissing }, () => {
  let mesh: TestMesh;
  let pages: Service;
  const folder = mkdtempSync(join(tmpdir(), 'palisade-upstream-'));
  const file = (name: string) => join(folder, name);
  const hsm = softHsmMissing === false ? createSoftHsm() : undefined;

  before(async () => {
    assert.ok(hsm !== undefined);
    writeFileSync(file('pin'), `${hsm.pin}\n`, { mode: 0o600 });
    process.env['SOFTHSM2_CONF'] = hsm.env.SOFTHSM2_CONF;
    process.env['PALISADE_CA_KEYS'] = `pkcs11:token=${hsm.token}?module-path=${hsm.modulePath}`;
    process.env['PALISADE_CA_PIN_FILE'] = file('pin');
    // Older than the mesh's own root: its age must not say which of the two is the next.
    const subject = ['-subj', '/CN=Corporate root', '-keyout', file('root.key')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    await openssl(
      'req',
      '-x509',
      ...curve,
      ...subject,
      ...usage,
      '-days',
      '30',
      '-out',
      file('root'),
    );
    mesh = await startTestMesh();
    const serve = `exec python3 -m http.server "$PORT" --bind 127.0.0.1 --directory ${folder}`;
    pages = await mesh.run('pages', ['sh', '-c', serve]);
  });
  after(async () => {
    await mesh?.close();
    for (const name of ENVIRONMENT) delete process.env[name];
    rmSync(folder, { recursive: true });
    hsm?.remove();
  });

  const chainOf = (service: string): readonly string[] => {
    const path = join(mesh.dataDir, 'proxies', `default.${service}`, 'identity.json');
    const { chainPem } = JSON.parse(readFileSync(path, 'utf8')) as { chainPem: string };
    return chainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  };

  test('no key of the authority is in its folder', () => {
    const held = JSON.parse(readFileSync(join(mesh.dataDir, 'ca', 'ca.key'), 'utf8'));
    assert.equal(held.device, 'pkcs11');
    assert.equal(chainOf('pages').length, 1);
  });

  test('an offline authority signs the request, a rotation moves the mesh below its root', async () => {
    const csr = await mesh.cli('ca', 'csr');
    assert.equal(csr.status, 0, csr.stderr);
    writeFileSync(file('csr'), csr.stdout);
    writeFileSync(
      file('extensions'),
      [
        'basicConstraints=critical,CA:TRUE,pathlen:0',
        'keyUsage=critical,keyCertSign,cRLSign',
        'nameConstraints=critical,permitted;URI:cluster.local',
        'subjectAltName=URI:spiffe://cluster.local',
        'subjectKeyIdentifier=hash',
        '',
      ].join('\n'),
    );
    const from = ['-CA', file('root'), '-CAkey', file('root.key'), '-days', '7'];
    const extensions = ['-extfile', file('extensions'), '-out', file('own')];
    await openssl('x509', '-req', '-in', file('csr'), ...from, ...extensions);
    writeFileSync(
      file('chain'),
      readFileSync(file('own'), 'utf8') + readFileSync(file('root'), 'utf8'),
    );
    const imported = await mesh.cli('ca', 'import-chain', file('chain'));
    assert.match(imported.stdout, /run `palisade ca rotate`/, imported.stderr);
    const rotated = await mesh.cli('ca', 'rotate');
    assert.equal(rotated.status, 0, rotated.stderr);

    const [leaf = '', middle = '', ...more] = chainOf('pages');
    assert.deepEqual(more, []);
    writeFileSync(file('leaf'), leaf);
    writeFileSync(file('middle'), middle);
    assert.equal(
      middle.replaceAll('\n', ''),
      readFileSync(file('own'), 'utf8').replaceAll('\n', ''),
    );
    const by = ['-CAfile', file('root'), '-untrusted', file('middle')];
    await openssl('verify', '-x509_strict', ...by, file('leaf'));
    const audit = await mesh.cli('audit', 'verify');
    assert.equal(audit.status, 0, audit.stdout + audit.stderr);
  });

  test('go-spiffe takes the chain in a handshake with a sidecar', async (t) => {
    const go = await goSpiffe(folder);
    if (go.kind === 'absent') return t.skip(go.reason);
    await mesh.apply(
      [
        'apiVersion: palisade.dev/v1',
        'kind: Registration',
        'metadata: { name: go }',
        `spec: { spiffeId: '${ID}/go', selectors: ['unix:path:${await executableOf(go.command[0] ?? '')}'] }`,
        '---',
        'apiVersion: security.istio.io/v1',
        'kind: AuthorizationPolicy',
        'metadata: { name: go }',
        'spec:',
        '  selector: { matchLabels: { app: pages } }',
        '  rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/go] } }] }]',
        '',
      ].join('\n'),
    );
    const url = `https://127.0.0.1:${pages.ports.inboundPort}/`;
    const socket = `SPIFFE_ENDPOINT_SOCKET=unix://${join(mesh.dataDir, 'agent', 'agent.sock')}`;
    const done = await finish(['env', socket, ...go.command, 'get', url, `${ID}/pages`]);
    assert.equal(done.status, 0, done.stderr);
    assert.equal(JSON.parse(done.stdout).status, 200);
  });
});

async function openssl(...args: string[]): Promise<void> {
  const done = await finish(['openssl', ...args]);
  assert.equal(done.status, 0, done.stderr);
}
