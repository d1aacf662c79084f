// What leaves for a bug report, against secrets that were put wherever one might turn up.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { finish, startTestMesh } from './mesh.ts';

// One of each kind that a log, a name or a setting may come to hold.
const CANARIES = {
  bearer: 'cnry-bearer-71c0ffee5afe',
  password: 'cnry-Pa55word-in-a-log',
  link: 'CNRYlinkQ7vZ2mXw81kTt0bYhE4sUoRf3gJdLaPc',
  userinfo: 'cnryuser:cnrypassw0rd',
  jwt: 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjbnJ5In0.Y25yeXNpZ25hdHVyZQ',
  pem: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wcnryprivatekey',
  sink: 'cnry-secret-of-a-webhook-sink',
};

test('a support bundle lists what it holds, is private, and holds no secret', async () => {
  const mesh = await startTestMesh();
  try {
    const log = join(mesh.dataDir, 'palisade.log');
    const key = `-----BEGIN PRIVATE KEY-----\\n${CANARIES.pem}\\n-----END PRIVATE KEY-----`;
    const lines = [
      `{"msg":"authorization: Bearer ${CANARIES.bearer}"}`,
      `{"msg":"failed","password":"${CANARIES.password}"}`,
      `{"msg":"GET /sign-in?token=${CANARIES.link}"}`,
      `{"msg":"the link ${CANARIES.link} was spent"}`,
      `{"msg":"https://${CANARIES.userinfo}@example.org/x?y=1"}`,
      `{"msg":"${CANARIES.jwt}"}`,
      `{"msg":"${key}"}`,
      `{"msg":"${CANARIES.sink} did not work"}`,
      '{"msg":"what a reader needs"}',
    ];
    appendFileSync(log, `${lines.join('\n')}\n`);
    const secrets = join(mesh.dataDir, 'control', 'sinks', 'secrets');
    mkdirSync(secrets, { recursive: true });
    writeFileSync(join(secrets, 'webhook'), `${CANARIES.sink}\n`);
    const out = join(mesh.dataDir, 'bundle.tar.gz');
    const made = await mesh.cli('support-bundle', '--out', out);
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stdout, /enforcement-points\.json: who enforces what/);
    assert.equal(statSync(out).mode & 0o777, 0o600);
    const text = gunzipSync(readFileSync(out)).toString('latin1');
    for (const [kind, canary] of Object.entries(CANARIES)) assert.ok(!text.includes(canary), kind);
    for (const secret of secretsIn(mesh.dataDir)) assert.ok(!text.includes(secret), secret);
    const link = /token=(\S+)/.exec(mesh.up.output())?.[1] ?? 'none';
    assert.ok(link.length > 20 && !text.includes(link), 'the link that signs in');
    assert.match(text, /what a reader needs/);
    const listed = await finish(['tar', '-tvzf', out]);
    assert.equal(listed.status, 0, listed.stderr);
    const names = listed.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/).at(-1));
    const manifest = JSON.parse((await finish(['tar', '-xzOf', out, 'manifest.json'])).stdout);
    assert.deepEqual(
      names.slice(1),
      manifest.files.map(({ name }: { name: string }) => name),
    );
    assert.match(listed.stdout, /^-rw-------/);
  } finally {
    await mesh.close();
  }
});

/** Every piece of what the mesh keeps secret. */
function secretsIn(dataDir: string): string[] {
  const isSecret = /\.key$|join-token|identity\.json$|jwt-keys\.json$|console-sessions/;
  const paths = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((path) =>
    isSecret.test(path),
  );
  assert.ok(paths.length >= 6, paths.join());
  return paths
    .flatMap((path) => readFileSync(join(dataDir, path), 'utf8').split(/\\n|[\s"]/))
    .filter((piece) => piece.length >= 24 && !piece.startsWith('-----'));
}
