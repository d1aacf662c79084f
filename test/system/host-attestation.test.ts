// Hosts of their own: a folder with the trust root and the mesh's addresses and nothing else, and whatever each proves
// itself by, made by the programs that people use for it.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { createGrpcClient, SpiffeWorkloadAPI, type X509SVIDResponse } from '#wire';
import { palisade, type Running, start, type TestMesh } from './mesh.ts';
import { type MeshParts, prepareParts } from './mesh-parts.ts';
import { until } from './until.ts';

let parts: MeshParts;
let mesh: TestMesh;
const hosts: Running[] = [];

before(async () => {
  parts = await prepareParts();
  await parts.start('ca');
  await parts.start('control');
  await parts.start('agent');
  mesh = parts.mesh();
});

after(async () => {
  for (const host of hosts) await host.stop();
  await mesh?.close();
  await parts?.close();
});

/** A host that knows whom to trust and where to ask. */
function newHost(name: string): string {
  const folder = join(parts.dataDir, 'hosts', name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  copyFileSync(join(parts.dataDir, 'trust-root.json'), join(folder, 'trust-root.json'));
  const settings = JSON.parse(readFileSync(join(parts.dataDir, 'mesh.json'), 'utf8')) as object;
  const agentSocket = join(folder, 'agent.sock');
  writeFileSync(join(folder, 'mesh.json'), JSON.stringify({ ...settings, agentSocket }));
  return folder;
}

async function startAgent(folder: string, ...flags: string[]): Promise<Running> {
  const agent = start(palisade('agent', '--data', folder, ...flags));
  hosts.push(agent);
  await agent.printed(/^ready/m, 30_000);
  return agent;
}

type Identity = {
  readonly spiffeId: string;
  readonly attestation: string;
  readonly allowedBy: string;
};

async function identityOf(agent: RegExp): Promise<Identity> {
  const look = async () => {
    const listed = await mesh.cli('identity', 'list', '-o', 'json');
    const items = JSON.parse(listed.stdout || '[]') as readonly Identity[];
    return items.find(({ spiffeId }) => agent.test(spiffeId));
  };
  return until(`an identity of ${agent}`, look, { told: () => hosts.at(-1)?.output() ?? '' });
}

function nodeAttestor(name: string, spec: object): string {
  const metadata = { name, namespace: 'palisade-system' };
  return JSON.stringify({ apiVersion: 'palisade.dev/v1', kind: 'NodeAttestor', metadata, spec });
}

const lacks = (...programs: string[]): string | false => {
  const missing = programs.filter((each) => spawnSync('which', [each]).status !== 0);
  return missing.length > 0 && `${missing.join(', ')} not installed`;
};

test('a signed join token lets one host in, once', async () => {
  const folder = newHost('token');
  const file = join(folder, 'token');
  const made = await mesh.cli('token', 'create', '--host', 'node-7', '--out', file);
  assert.equal(made.status, 0, made.stderr);
  const waiting = async () => {
    const status = await mesh.cli('ca', 'status', '-o', 'json');
    const { horizon } = JSON.parse(status.stdout) as { horizon: { what: string; fix: string }[] };
    return horizon.filter(({ what }) => what.startsWith('join token for node-7 ('));
  };
  assert.deepEqual(
    (await waiting()).map(({ fix }) => fix),
    ['palisade token create --host node-7'],
  );
  await startAgent(folder, '--attest', 'join_token', '--token-file', file);
  const identity = await identityOf(/\/palisade\/agent\/node-7$/);
  assert.equal(identity.attestation, 'token');
  assert.equal(identity.allowedBy, 'attested by join_token');
  assert.deepEqual(await waiting(), [], 'used, so it is listed no more');
  // Whoever copied the token comes too late.
  const thief = newHost('thief');
  copyFileSync(file, join(thief, 'token'));
  const late = await startAgent(
    thief,
    '--attest',
    'join_token',
    '--token-file',
    join(thief, 'token'),
  );
  await late.printed(/was used before/, 20_000);
});

test("a machine's certificate from openssl", { skip: lacks('openssl') }, async () => {
  const folder = newHost('x509pop');
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-subj',
    '/CN=machines',
    '-days',
    '2',
  );
  openssl('req', ...key, '-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=node-8');
  writeFileSync(
    at('ext'),
    'keyUsage=critical,digitalSignature\nsubjectAltName=DNS:node-8.example.org\n',
  );
  const sign = [
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-extfile',
    at('ext'),
  ];
  openssl('x509', '-req', '-in', at('csr.pem'), ...sign, '-out', at('cert.pem'), '-days', '1');
  await mesh.apply(
    nodeAttestor('machines', { x509pop: { roots: readFileSync(at('ca.pem'), 'utf8') } }),
  );
  await startAgent(folder, '--attest', 'x509pop', '--cert', at('cert.pem'), '--key', at('key.pem'));
  const identity = await identityOf(/\/palisade\/agent\/x509pop\/[0-9a-f]{64}$/);
  assert.equal(identity.allowedBy, 'attested by x509pop');
});

for (const type of ['ed25519', 'ecdsa', 'rsa']) {
  test(`an SSH host certificate (${type})`, { skip: lacks('ssh-keygen') }, async () => {
    const folder = newHost(`sshpop-${type}`);
    const at = (name: string): string => join(folder, name);
    const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args]);
    keygen('-t', type, '-f', at('ca'), '-N', '');
    keygen('-t', type, '-f', at('host'), '-N', '');
    keygen(
      '-s',
      at('ca'),
      '-I',
      'node-9',
      '-h',
      '-n',
      'node-9.example.org',
      '-V',
      '+1h',
      at('host.pub'),
    );
    const authorities = [readFileSync(at('ca.pub'), 'utf8').trim()];
    await mesh.apply(nodeAttestor(`ssh-${type}`, { sshpop: { authorities } }));
    const files = ['--cert', at('host-cert.pub'), '--key', at('host')];
    await startAgent(folder, '--attest', 'sshpop', ...files);
    const blob = Buffer.from(readFileSync(at('host.pub'), 'utf8').split(' ')[1] ?? '', 'base64');
    const fingerprint = createHash('sha256').update(blob).digest('hex');
    const identity = await identityOf(new RegExp(`/palisade/agent/sshpop/${fingerprint}$`));
    assert.equal(identity.allowedBy, 'attested by sshpop');
  });
}

test('a TPM 2.0, and a workload that only its host may run', {
  skip: lacks('swtpm', 'swtpm_setup', 'tpm2_createek', 'tpm2_activatecredential'),
}, async () => {
  const folder = newHost('tpm');
  const { tcti, stop } = await startTpm(join(folder, 'state'));
  try {
    const digest = endorsementKey(folder, tcti);
    await mesh.apply(nodeAttestor('tpms', { tpm: { ekSha256: [digest] } }));
    await mesh.apply(
      JSON.stringify({
        apiVersion: 'palisade.dev/v1',
        kind: 'Registration',
        metadata: { name: 'vault', namespace: 'default' },
        spec: {
          spiffeId: 'spiffe://cluster.local/ns/default/sa/vault',
          selectors: [`unix:uid:${process.getuid?.()}`, `tpm:ek-sha256:${digest}`],
        },
      }),
    );
    await startAgent(folder, '--attest', 'tpm', '--tcti', tcti);
    const agent = await identityOf(new RegExp(`/palisade/agent/tpm/${digest}$`));
    assert.equal(agent.attestation, 'tpm');
    // Its identity comes first, and what is registered a moment later.
    const look = async () => {
      const svids = await fetchSvids(join(folder, 'agent', 'agent.sock')).catch((): string[] => []);
      return svids.includes('spiffe://cluster.local/ns/default/sa/vault');
    };
    await until('an SVID of the workload', look, { told: () => hosts.at(-1)?.output() ?? '' });
    const vault = await identityOf(/\/sa\/vault$/);
    assert.equal(vault.attestation, 'tpm');
    // The same user on the host without the TPM is nobody.
    const elsewhere = await fetchSvids(join(parts.dataDir, 'agent', 'agent.sock')).catch(
      (error: { readonly details?: string }) => [error.details ?? ''],
    );
    assert.ok(!elsewhere.includes('spiffe://cluster.local/ns/default/sa/vault'));
  } finally {
    stop();
  }
});

test('a TPM 2.0 by the certificate of its maker, and one of another maker', {
  skip: lacks('swtpm', 'swtpm_setup', 'swtpm_localca', 'tpm2_createek', 'tpm2_nvread'),
}, async () => {
  const folder = newHost('certified');
  const [ours, others] = [createMaker(join(folder, 'ours')), createMaker(join(folder, 'others'))];
  const good = await startTpm(join(folder, 'state'), ours.config);
  const elsewhere = newHost('elsewhere');
  const bad = await startTpm(join(elsewhere, 'state'), others.config);
  try {
    await mesh.apply(nodeAttestor('tpms', { tpm: { ekRoots: ours.roots() } }));
    // Before the agent asks it: without a resource manager both would share its room for three objects.
    const digest = endorsementKey(folder, good.tcti);
    await startAgent(folder, '--attest', 'tpm', '--tcti', good.tcti);
    const agent = await identityOf(new RegExp(`/palisade/agent/tpm/${digest}$`));
    assert.equal(agent.attestation, 'tpm');
    const refused = await startAgent(elsewhere, '--attest', 'tpm', '--tcti', bad.tcti);
    await refused.printed(/the endorsement key's certificate/, 20_000);
  } finally {
    good.stop();
    bad.stop();
  }
});

/** A maker of TPMs, as swtpm_localca is one: `config` is for `swtpm_setup`, the roots are there once a TPM was made. */
function createMaker(folder: string): { readonly config: string; readonly roots: () => string } {
  mkdirSync(folder, { mode: 0o700 });
  const at = (name: string) => join(folder, name);
  const authority = { statedir: folder, signingkey: at('signkey.pem') };
  const files = { issuercert: at('issuer.pem'), certserial: at('serial') };
  const lines = Object.entries({ ...authority, ...files }).map(([key, path]) => `${key} = ${path}`);
  writeFileSync(at('localca.conf'), `${lines.join('\n')}\n`);
  writeFileSync(
    at('localca.options'),
    '--platform-manufacturer Palisade\n--platform-version 1\n--platform-model test\n',
  );
  const tool = spawnSync('which', ['swtpm_localca']).stdout.toString().trim();
  const setup = {
    create_certs_tool: tool,
    create_certs_tool_config: at('localca.conf'),
    create_certs_tool_options: at('localca.options'),
  };
  const text = Object.entries(setup).map(([key, value]) => `${key}=${value}`);
  writeFileSync(at('setup.conf'), `${text.join('\n')}\n`);
  const read = (name: string) => readFileSync(at(name), 'utf8');
  return {
    config: at('setup.conf'),
    roots: () => `${read('issuer.pem')}${read('swtpm-localca-rootca-cert.pem')}`,
  };
}

/** A TPM in software; with `config`, one whose endorsement key its maker certified. */
async function startTpm(
  state: string,
  config?: string,
): Promise<{ readonly tcti: string; readonly stop: () => void }> {
  mkdirSync(state, { mode: 0o700 });
  execFileSync('swtpm_setup', [
    '--tpm2',
    '--tpmstate',
    state,
    '--overwrite',
    '--logfile',
    join(state, 'log'),
    ...(config === undefined ? [] : ['--create-ek-cert', '--config', config]),
  ]);
  const socket = join(state, 'sock');
  const swtpm = spawn(
    'swtpm',
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${state}`,
      '--server',
      `type=unixio,path=${socket}`,
      '--ctrl',
      `type=unixio,path=${socket}.ctrl`,
      '--flags',
      'not-need-init,startup-clear',
    ],
    { stdio: 'ignore' },
  );
  const tcti = `swtpm:path=${socket}`;
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const env = { ...process.env, TPM2TOOLS_TCTI: tcti };
    if (spawnSync('tpm2_getrandom', ['4', '--hex'], { env }).status === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { tcti, stop: () => swtpm.kill() };
}

/** What an operator notes of a machine when it is bought: the digest of its endorsement key. */
function endorsementKey(folder: string, tcti: string): string {
  const options = {
    cwd: folder,
    env: { ...process.env, TPM2TOOLS_TCTI: tcti },
    stdio: 'pipe',
  } as const;
  execFileSync('tpm2_createek', ['-c', 'ek.ctx', '-G', 'rsa', '-u', 'ek.pub'], options);
  execFileSync('tpm2_readpublic', ['-c', 'ek.ctx', '-f', 'der', '-o', 'ek.der'], options);
  execFileSync('tpm2_flushcontext', ['-t'], options);
  assert.ok(existsSync(join(folder, 'ek.der')));
  const key = createPublicKey({
    key: readFileSync(join(folder, 'ek.der')),
    format: 'der',
    type: 'spki',
  });
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

async function fetchSvids(path: string): Promise<readonly string[]> {
  const client = createGrpcClient(SpiffeWorkloadAPI, { kind: 'unix', path });
  try {
    const metadata = new Metadata();
    metadata.set('workload.spiffe.io', 'true');
    const stream = client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, metadata);
    for await (const answer of stream as AsyncIterable<X509SVIDResponse>) {
      return answer.svids.map(({ spiffeId }) => spiffeId);
    }
    return [];
  } finally {
    client.close();
  }
}
