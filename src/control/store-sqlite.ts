import type { DatabaseSync } from 'node:sqlite';
import { fail, ok, type Result } from '#lib';
import { openDatabase, transact } from './sqlite.ts';
import type {
  HistoryEntry,
  Store,
  StoredChange,
  StoredCommit,
  StoredEndpoint,
  StoredPoint,
  StoredResource,
  StoreError,
} from './store.ts';
import { CONTROL_MIGRATIONS } from './store-migrations.ts';

const COMMIT_COLUMNS = `namespace, number, hash, parent, author, time, expires, root, size, message, envelope,
  received_at AS receivedAt, received_from AS receivedFrom`;

// For each key the newest change at or below a commit.
const NEWEST_CHANGES = `SELECT key, max(number) AS number FROM changes
  WHERE namespace = :namespace AND number > :after AND number <= :upTo GROUP BY key`;

/**
 * Opens (and creates or migrates) the control plane's store in `path`; throws where that cannot be done. A write
 * that would need more than `maxPages` pages is refused as on a full disk.
 */
export function openStore(path: string, options: { readonly maxPages?: number } = {}): Store {
  const db = openDatabase({ path, migrations: CONTROL_MIGRATIONS });
  if (options.maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${options.maxPages}`);
  return {
    ...commitReads(db),
    ...resourceReads(db),
    ...presence(db),
    append: appender(db),
    close: () => db.close(),
  };
}

function commitReads(
  db: DatabaseSync,
): Pick<Store, 'heads' | 'commit' | 'commitsAfter' | 'history'> {
  const heads = db.prepare(
    `SELECT ${COMMIT_COLUMNS} FROM commits AS c
     WHERE number = (SELECT max(number) FROM commits WHERE namespace = c.namespace) ORDER BY namespace`,
  );
  const one = db.prepare(
    `SELECT ${COMMIT_COLUMNS} FROM commits WHERE namespace = ? AND number = ?`,
  );
  const after = db.prepare(
    `SELECT ${COMMIT_COLUMNS} FROM commits WHERE namespace = ? AND number > ? ORDER BY number`,
  );
  const before = db.prepare(
    `SELECT ${COMMIT_COLUMNS} FROM commits WHERE namespace = ? AND number < ? ORDER BY number DESC LIMIT ?`,
  );
  const changesOf = db.prepare(
    'SELECT key, change FROM changes WHERE namespace = ? AND number = ? ORDER BY key',
  );
  return {
    heads: () => rows<StoredCommit>(heads.all()),
    commit: (namespace, number) => rows<StoredCommit>(one.all(namespace, number))[0],
    commitsAfter: (namespace, number) => rows<StoredCommit>(after.all(namespace, number)),
    history: (namespace, page) =>
      rows<StoredCommit>(
        before.all(namespace, page.before ?? Number.MAX_SAFE_INTEGER, page.limit),
      ).map((commit) => ({
        ...commit,
        changes: rows<HistoryEntry['changes'][number]>(changesOf.all(namespace, commit.number)),
      })),
  };
}

function resourceReads(db: DatabaseSync): Pick<Store, 'changesBetween' | 'resourcesAt'> {
  const between = db.prepare(
    `SELECT changes.key, changes.resource FROM (${NEWEST_CHANGES}) AS newest
     JOIN changes ON changes.namespace = :namespace AND changes.key = newest.key AND changes.number = newest.number
     ORDER BY changes.key`,
  );
  const at = db.prepare(
    `SELECT changes.key, changes.resource, changes.source, changes.number, commits.author, commits.time
     FROM (${NEWEST_CHANGES}) AS newest
     JOIN changes ON changes.namespace = :namespace AND changes.key = newest.key AND changes.number = newest.number
     JOIN commits ON commits.namespace = :namespace AND commits.number = newest.number
     WHERE changes.resource IS NOT NULL ORDER BY changes.key`,
  );
  return {
    changesBetween: (namespace, after, upTo) =>
      rows<Pick<StoredChange, 'key' | 'resource'>>(between.all({ namespace, after, upTo })),
    resourcesAt: (namespace, number) =>
      rows<StoredResource>(at.all({ namespace, after: -1, upTo: number })),
  };
}

function appender(db: DatabaseSync): Store['append'] {
  const head = db.prepare(
    'SELECT number, hash FROM commits WHERE namespace = ? ORDER BY number DESC LIMIT 1',
  );
  const insertCommit = db.prepare(
    `INSERT INTO commits (namespace, number, hash, parent, author, time, expires, root, size, message, envelope,
       received_at, received_from)
     VALUES (:namespace, :number, :hash, :parent, :author, :time, :expires, :root, :size, :message, :envelope,
       :receivedAt, :receivedFrom)`,
  );
  const insertChange = db.prepare(
    'INSERT INTO changes (namespace, key, number, change, resource, source) VALUES (?, ?, ?, ?, ?, ?)',
  );
  return (commit, changes) => {
    let moved: string | undefined;
    const done = transact(db, () => {
      moved = movedParent(
        rows<{ number: number; hash: string }>(head.all(commit.namespace))[0],
        commit,
      );
      if (moved !== undefined) return;
      insertCommit.run({ ...commit });
      for (const change of changes) {
        insertChange.run(
          commit.namespace,
          change.key,
          commit.number,
          change.change,
          change.resource,
          change.source,
        );
      }
    });
    if (!done.ok) return fail({ code: 'storage_failed', message: done.error });
    return moved === undefined ? ok(undefined) : fail({ code: 'parent_moved', message: moved });
  };
}

/** Why `commit` does not follow `head`; the first commit stored of a namespace may have any number and parent. */
export function movedParent(
  head: { readonly number: number; readonly hash: string } | undefined,
  commit: Pick<StoredCommit, 'namespace' | 'number' | 'parent'>,
): string | undefined {
  if (head === undefined) return undefined;
  if (commit.parent === head.hash && commit.number === head.number + 1) return undefined;
  return `the head of \`${commit.namespace}\` is commit ${head.number} (${head.hash})`;
}

function presence(db: DatabaseSync): Pick<Store, 'points' | 'endpoints' | 'savePresence'> {
  const points = db.prepare('SELECT node, state FROM points ORDER BY node');
  const endpoints = db.prepare(
    'SELECT node, namespace, service, host, port, hbone_port AS hbonePort FROM endpoints ORDER BY namespace, service, node, host, port',
  );
  const dropPoint = db.prepare('DELETE FROM points WHERE node = ?');
  const dropEndpoints = db.prepare('DELETE FROM endpoints WHERE node = ?');
  const addPoint = db.prepare('INSERT INTO points (node, state) VALUES (?, ?)');
  const addEndpoint = db.prepare(
    'INSERT OR IGNORE INTO endpoints (node, namespace, service, host, port, hbone_port) VALUES (?, ?, ?, ?, ?, ?)',
  );
  return {
    points: () => rows<StoredPoint>(points.all()),
    endpoints: () => rows<StoredEndpoint>(endpoints.all()),
    savePresence(nodes): Result<undefined, StoreError> {
      const done = transact(db, () => {
        for (const [node, { point, endpoints: reached }] of nodes) {
          dropPoint.run(node);
          dropEndpoints.run(node);
          if (point !== undefined) addPoint.run(node, point.state);
          for (const { namespace, service, host, port, hbonePort } of reached) {
            addEndpoint.run(node, namespace, service, host, port, hbonePort);
          }
        }
      });
      return done.ok ? ok(undefined) : fail({ code: 'storage_failed', message: done.error });
    },
  };
}

// node:sqlite types a row as a record of SQL values; the statement beside each call says its columns.
function rows<T>(result: unknown): readonly T[] {
  return result as readonly T[];
}
