import { BUCKET_COLUMNS, upgradeSums } from './rollup-schema.ts';

/** The version of the schema, in `user_version`. */
export const DAY_SCHEMA_VERSION = 2;

/** `rollup_levels` says of a level from when on it has sums; one without a row has all. */
const ROLLUPS = `
  CREATE TABLE rollup_levels (level INTEGER PRIMARY KEY, kept_from_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE rollups (
    level INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    edge INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    ${BUCKET_COLUMNS.map((name) => `${name} INTEGER NOT NULL`).join(', ')},
    PRIMARY KEY (level, time_ms, edge)
  ) STRICT, WITHOUT ROWID;
`;

/**
 * The schema of one day's file. `blocks` says of each block where its records begin (`first`, counted within the file),
 * how many they are and of when; `parts` holds its bytes at `first * 4 + part`, so that the large ones are read only
 * when they are needed. `small` blocks are joined once there are enough of them.
 */
export const DAY_SCHEMA = `
  CREATE TABLE blocks (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    min_ms INTEGER NOT NULL,
    max_ms INTEGER NOT NULL,
    arrived_ms INTEGER NOT NULL,
    size INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    zones TEXT
  ) STRICT;
  CREATE TABLE parts (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
  CREATE TABLE tallies (
    kind TEXT NOT NULL,
    slot INTEGER NOT NULL,
    key TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    sample_id INTEGER NOT NULL,
    PRIMARY KEY (kind, slot, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sources (node TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE source_hours (
    hour_ms INTEGER NOT NULL,
    node TEXT NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (hour_ms, node)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE edges (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    UNIQUE (source, destination)
  ) STRICT;
  ${ROLLUPS}
`;

/** SQL that makes a file of the version before one of this. */
export const DAY_UPGRADES: Readonly<Record<number, string>> = { 1: upgradeSums(ROLLUPS, 'edge') };
