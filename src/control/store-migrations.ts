/**
 * The schema of control.db, one script a version. Resources are kept as the changes commits made to them, so that
 * any version can be rebuilt and no second copy can disagree.
 */
export const CONTROL_MIGRATIONS: readonly string[] = [
  `CREATE TABLE commits (
     namespace TEXT NOT NULL,
     number INTEGER NOT NULL,
     hash TEXT NOT NULL,
     parent TEXT,
     author TEXT NOT NULL,
     time TEXT NOT NULL,
     expires TEXT NOT NULL,
     root TEXT NOT NULL,
     size INTEGER NOT NULL,
     message TEXT,
     envelope TEXT NOT NULL,
     received_at TEXT NOT NULL,
     received_from TEXT NOT NULL,
     PRIMARY KEY (namespace, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE changes (
     namespace TEXT NOT NULL,
     key TEXT NOT NULL,
     number INTEGER NOT NULL,
     change TEXT NOT NULL,
     resource TEXT,
     source TEXT,
     PRIMARY KEY (namespace, key, number),
     FOREIGN KEY (namespace, number) REFERENCES commits (namespace, number)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX changes_by_commit ON changes (namespace, number);
   CREATE TABLE points (node TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE endpoints (
     node TEXT NOT NULL,
     namespace TEXT NOT NULL,
     service TEXT NOT NULL,
     host TEXT NOT NULL,
     port INTEGER NOT NULL,
     PRIMARY KEY (node, namespace, service, host, port)
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE endpoints ADD COLUMN hbone_port INTEGER NOT NULL DEFAULT 0;`,
];
