import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeContext } from './fake-context.ts';
import { startFakeControlPlane } from './fake-control-plane.ts';
import { runCli } from './program.ts';
import { VERSION } from './version.ts';
import { compareVersions, versionSkew } from './version-skew.ts';

test('versions are ordered as Semantic Versioning says', () => {
  const inOrder = ['0.1.0', '0.2.0-alpha', '0.2.0-alpha.1', '0.2.0-alpha.beta', '0.2.0-beta.2'];
  inOrder.push('0.2.0-beta.11', '0.2.0-rc.1', '0.2.0', '0.10.0', '1.0.0');
  for (const [i, a] of inOrder.entries()) {
    for (const [j, b] of inOrder.entries()) {
      assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} and ${b}`);
    }
  }
  assert.equal(compareVersions('1.0.0+a', '1.0.0+b'), 0);
});

test('who is older is told, whichever side it is', () => {
  assert.equal(versionSkew('0.2.0', '0.2.0'), undefined);
  assert.equal(versionSkew(undefined, '0.2.0'), undefined);
  assert.deepEqual(versionSkew('0.1.0', '0.2.0'), {
    message: 'the control plane is version 0.1.0, older than this palisade (0.2.0)',
    help: 'install 0.2.0 where it runs and start it again, or use the palisade that it came with',
  });
  assert.deepEqual(versionSkew('0.3.0', '0.2.0'), {
    message: 'this palisade is version 0.2.0, older than the control plane (0.3.0)',
    help: 'install 0.3.0 here, or use the palisade that the control plane came with',
  });
});

const NOW = new Date().toISOString();
const meshOf = (version: string) => ({ version, now: NOW, identity: { ready: true, reason: '' } });
const POINTS = 'GET /enforcement-points?limit=1000';
const EMPTY = { items: [], next: null };

/** Commands and a route of theirs that another version may lack. */
const COMMANDS: readonly (readonly [readonly string[], string])[] = [
  [['ca', 'status'], 'GET /api/v1/horizon'],
  [['alerts', 'list'], 'GET /api/v1/alerts'],
  [['slo', 'list'], 'GET /api/v1/slos'],
  [['sink', 'list'], 'GET /api/v1/sinks'],
  [['sink', 'test', 'siem'], 'POST /api/v1/sinks/siem/test'],
  [['trace', '0'.repeat(32)], `GET /api/v1/traces/${'0'.repeat(32)}`],
  [['audit', 'search'], 'GET /api/v1/audit'],
  [['log'], 'GET /api/v1/records'],
];

async function complaintOf(argv: readonly string[], version: string | undefined) {
  const mesh = version === undefined ? {} : { 'GET /mesh': meshOf(version) };
  const plane = await startFakeControlPlane({ ...mesh, [POINTS]: EMPTY });
  try {
    const context = createFakeContext();
    const status = await runCli([...argv, '--data', plane.dataDir], context);
    return { status, said: context.complained(), printed: context.printed() };
  } finally {
    plane.close();
  }
}

test('a command that its control plane does not know says which side is older and what to do', async () => {
  for (const [argv, route] of COMMANDS) {
    const older = await complaintOf(argv, '0.0.9');
    assert.equal(older.status, 3, argv.join(' '));
    assert.equal(
      older.said,
      `palisade: the control plane is version 0.0.9, older than this palisade (${VERSION}): it has no \`${route}\`\n` +
        `  help: install ${VERSION} where it runs and start it again, or use the palisade that it came with\n`,
    );
  }
  const newer = await complaintOf(['slo', 'list'], '99.0.0');
  assert.match(
    newer.said,
    /^palisade: this palisade is version .+, older than the control plane \(99/,
  );
  const same = await complaintOf(['slo', 'list'], VERSION);
  assert.match(
    same.said,
    /has no `GET .+ is version .+ too\n {2}help: one of both is another build/,
  );
  const none = await complaintOf(['slo', 'list'], undefined);
  assert.match(none.said, /does not say its version\n {2}help: name the address/);
});

test('doctor says it too, and looks at everything else all the same', async () => {
  const { status, printed } = await complaintOf(['doctor'], '0.0.9');
  assert.equal(status, 1);
  assert.match(printed, /bad {2}version: the control plane is version 0\.0\.9, older than/);
  assert.match(printed, /ok {3}enforcement: 0 points/);
  assert.match(printed, /bad {2}expiry: .+ it has no `GET \/api\/v1\/horizon`\n {5}help: install/);
});
