// A hostile control plane, first form: whoever has its database edits, drops, reorders, mixes and replays what is in
// it, and starts the honest program on the result. No sidecar's behaviour changes, and `status` says what happened.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { createCommit, createPolicyKey, loadSigner } from '#trust';
import {
  allowPolicy,
  assertVerdicts,
  type Guarded,
  type Point,
  pointsOf,
  restartSidecar,
  startGuarded,
} from './guarded-service.ts';
import { finish, palisade, type Running, startTestMesh, startUp } from './mesh.ts';
import { until } from './until.ts';

type Attack = {
  readonly name: string;
  readonly tamper: (db: DatabaseSync) => void;
  /** The code with which the sidecars refuse what they are sent; undefined where nothing may be sent at all. */
  readonly refusedBySidecars?: string;
  /** The code with which the control plane itself refuses to serve what it found. */
  readonly refusedByControl?: string;
};

const SERVER_POLICY = 'AuthorizationPolicy/server';
const ALLOW_ALL = JSON.stringify({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'server', namespace: 'default' },
  spec: { action: 'ALLOW', rules: [{}], selector: { matchLabels: { app: 'server' } } },
});

const ATTACKS: readonly Attack[] = [
  {
    name: 'edits a resource to allow everyone',
    refusedByControl: 'root_mismatch',
    tamper: (db) =>
      changed(
        db
          .prepare(
            `UPDATE changes SET resource = ? WHERE namespace = 'default' AND key = ?
             AND number = (SELECT max(number) FROM changes WHERE namespace = 'default' AND key = ?)`,
          )
          .run(ALLOW_ALL, SERVER_POLICY, SERVER_POLICY),
      ),
  },
  {
    name: 'drops the policy that denies',
    refusedByControl: 'root_mismatch',
    tamper: (db) =>
      changed(
        db.prepare(`DELETE FROM changes WHERE key = 'AuthorizationPolicy/server-secret'`).run(),
      ),
  },
  {
    name: 'rolls back to the old commit that allowed everyone',
    refusedBySidecars: 'version_rollback',
    tamper: (db) => rollBack(db, commitsOf(db, SERVER_POLICY)[0] ?? 0),
  },
  {
    name: 'rolls back by one commit',
    refusedBySidecars: 'version_rollback',
    tamper: (db) => rollBack(db, headOf(db, 'default').number - 1),
  },
  {
    name: 'reorders the last two commits',
    refusedBySidecars: 'version_rollback',
    tamper: reorderLastTwo,
  },
  {
    name: 'swaps resources between namespaces',
    refusedByControl: 'wrong_namespace',
    tamper: swapNamespaces,
  },
  {
    name: 'replays another namespace’s commit as the head',
    refusedByControl: 'wrong_namespace',
    tamper: (db) => appendHead(db, headOf(db, 'other').envelope, undefined),
  },
  {
    name: 'appends a commit signed by a key of its own',
    refusedByControl: 'signature_threshold',
    tamper: (db) => appendHead(db, forgedCommit(db), ALLOW_ALL),
  },
  {
    name: 'drops the namespace whole',
    tamper: (db) => rollBack(db, 0),
  },
];

describe('a hostile control plane that edits its database', () => {
  let guarded: Guarded;
  let up: Running;

  before(async () => {
    const mesh = await startTestMesh();
    up = mesh.up;
    guarded = await startGuarded(mesh);
    const other = allowPolicy('[{}]');
    const applied = await finish(
      palisade('apply', '-f', '-', '-n', 'other', '--data', mesh.dataDir),
      other,
    );
    assert.equal(applied.status, 0, applied.stderr);
  });
  after(async () => {
    await up.stop();
    await guarded.mesh.close();
  });

  for (const attack of ATTACKS) {
    test(`${attack.name}: nobody's verdict changes, and it shows`, async () => {
      const { mesh } = guarded;
      await up.stop('SIGKILL');
      const restore = backup(mesh.dataDir);
      tamperWith(mesh.dataDir, attack.tamper);
      up = await startUp(mesh.dataDir);
      const points = await until('every sidecar says so', () => troubledPoints(guarded, attack));
      await assertVerdicts(guarded, 'after the sidecars were sent it');
      await restartSidecar(guarded);
      await assertVerdicts(guarded, 'after the sidecar restarted');
      for (const point of points) {
        const expected = attack.refusedBySidecars;
        if (expected === undefined) assert.match(point.reason, /has no policy set here/);
        else assert.deepEqual(codesOf(point), [expected], point.reason);
      }
      if (attack.refusedByControl !== undefined) {
        const log = readFileSync(join(mesh.dataDir, 'palisade.log'), 'utf8');
        assert.match(log, new RegExp(`"code":"${attack.refusedByControl}".*does not verify`));
        assert.equal((await mesh.cli('doctor')).status, 1);
      }
      await up.stop('SIGKILL');
      restore();
      up = await startUp(mesh.dataDir);
      const healed = await mesh.cli('status', '--wait', '--timeout', '30s');
      assert.equal(healed.status, 0, healed.stdout);
      await assertVerdicts(guarded, 'after the database was restored');
    });
  }

  test('edits the root namespace: `up` refuses to serve it, the sidecars go on', async () => {
    const { mesh } = guarded;
    await up.stop('SIGKILL');
    const restore = backup(mesh.dataDir);
    tamperWith(mesh.dataDir, (db) =>
      changed(
        db
          .prepare(
            `UPDATE changes SET resource = replace(resource, '"deny"', '"allow"') WHERE key = ?`,
          )
          .run('Mesh/mesh'),
      ),
    );
    const refused = await finish(palisade('up', '--port', '0', '--data', mesh.dataDir));
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /policy set of `palisade-system` does not verify.*\n {2}help: /);
    await assertVerdicts(guarded, 'while nothing serves');
    restore();
    up = await startUp(mesh.dataDir);
    const healed = await mesh.cli('status', '--wait', '--timeout', '30s');
    assert.equal(healed.status, 0, healed.stdout);
  });
});

/** All sidecars, once each of them has heard of the tampered set and says so. */
async function troubledPoints(
  { mesh }: Guarded,
  attack: Attack,
): Promise<readonly Point[] | undefined> {
  const points = (await pointsOf(mesh)).filter(({ node }) => node.startsWith('default/'));
  const isTold = (point: Point) =>
    point.connected &&
    (attack.refusedBySidecars === undefined ? point.stale : point.refused.length > 0);
  return points.length === 3 && points.every(isTold) ? points : undefined;
}

function codesOf({ refused }: Point): string[] {
  return refused.map(({ code }) => code);
}

const FILES = ['control.db', 'control.db-wal', 'control.db-shm'];

/** Copies the database; the function it returns puts the copy back. */
function backup(dataDir: string): () => void {
  const at = (name: string) => join(dataDir, 'control', name);
  const kept = FILES.filter((name) => existsSync(at(name)));
  for (const name of kept) copyFileSync(at(name), `${at(name)}.kept`);
  return () => {
    for (const name of FILES) rmSync(at(name), { force: true });
    for (const name of kept) copyFileSync(`${at(name)}.kept`, at(name));
  };
}

function tamperWith(dataDir: string, tamper: (db: DatabaseSync) => void): void {
  const path = join(dataDir, 'control', 'control.db');
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  tamper(db);
  db.close();
}

// An attack that changes no row would prove nothing.
function changed({ changes }: { readonly changes: number | bigint }): void {
  assert.ok(changes > 0, 'the attack changed nothing');
}

type Head = { readonly number: number; readonly hash: string; readonly envelope: string };

function headOf(db: DatabaseSync, namespace: string): Head {
  const row = db
    .prepare('SELECT * FROM commits WHERE namespace = ? ORDER BY number DESC LIMIT 1')
    .get(namespace);
  assert.ok(row, `no commit of ${namespace}`);
  return row as unknown as Head;
}

function commitsOf(db: DatabaseSync, key: string): number[] {
  return db
    .prepare(`SELECT number FROM changes WHERE namespace = 'default' AND key = ? ORDER BY number`)
    .all(key)
    .map(({ number }) => Number(number));
}

function rollBack(db: DatabaseSync, number: number): void {
  db.prepare(`DELETE FROM changes WHERE namespace = 'default' AND number > ?`).run(number);
  changed(db.prepare(`DELETE FROM commits WHERE namespace = 'default' AND number > ?`).run(number));
}

function reorderLastTwo(db: DatabaseSync): void {
  const { number } = headOf(db, 'default');
  for (const table of ['changes', 'commits']) {
    const move = db.prepare(
      `UPDATE ${table} SET number = ? WHERE namespace = 'default' AND number = ?`,
    );
    move.run(-1, number);
    changed(move.run(number, number - 1));
    changed(move.run(number - 1, -1));
  }
}

function swapNamespaces(db: DatabaseSync): void {
  const newest = `SELECT max(number) FROM changes AS c WHERE c.namespace = changes.namespace AND c.key = changes.key`;
  const read = db.prepare(
    `SELECT resource FROM changes WHERE namespace = ? AND key = ? AND number = (${newest})`,
  );
  const write = db.prepare(
    `UPDATE changes SET resource = ? WHERE namespace = ? AND key = ? AND number = (${newest})`,
  );
  const [own, others] = ['default', 'other'].map((namespace) =>
    String(read.get(namespace, SERVER_POLICY)?.['resource']),
  );
  assert.notEqual(own, others);
  changed(write.run(others ?? '', 'default', SERVER_POLICY));
  changed(write.run(own ?? '', 'other', SERVER_POLICY));
}

/** Puts a commit on top of `default`, with one changed resource if given. */
function appendHead(db: DatabaseSync, envelope: string, resource: string | undefined): void {
  const { number, hash } = headOf(db, 'default');
  changed(
    db
      .prepare(
        `INSERT INTO commits SELECT namespace, number + 1, ?, hash, author, time, expires, root, size, message, ?,
           received_at, received_from FROM commits WHERE namespace = 'default' AND number = ?`,
      )
      .run(hash.replaceAll(/[0-7]/g, '8'), envelope, number),
  );
  if (resource === undefined) return;
  changed(
    db
      .prepare(`INSERT INTO changes VALUES ('default', ?, ?, 'changed', ?, NULL)`)
      .run(SERVER_POLICY, number + 1, resource),
  );
}

/** A commit with everything right but its signature. */
function forgedCommit(db: DatabaseSync): string {
  const { number, hash, envelope } = headOf(db, 'default');
  const signed = JSON.parse(envelope);
  const commit = JSON.parse(Buffer.from(signed.payload, 'base64').toString());
  const resources = new Map<string, unknown>();
  const rows = db
    .prepare(`SELECT key, resource FROM changes WHERE namespace = 'default' ORDER BY number`)
    .all();
  for (const { key, resource } of rows) {
    if (resource === null) resources.delete(String(key));
    else resources.set(String(key), JSON.parse(String(resource)));
  }
  resources.set(SERVER_POLICY, JSON.parse(ALLOW_ALL));
  const signer = loadSigner(createPolicyKey().privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  const forged = createCommit({
    trustDomain: commit.trustDomain,
    namespace: 'default',
    parent: { number, hash, commit, envelope: signed },
    resources,
    author: commit.author,
    nowMs: Date.now(),
    ttlMs: 3_600_000,
    signer: signer.value,
  });
  return JSON.stringify(forged.envelope);
}
