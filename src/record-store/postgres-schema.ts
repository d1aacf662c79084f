import { ROLLUP_LEVELS } from './rollup-levels.ts';
import { BUCKET_COLUMNS, upgradeSums } from './rollup-schema.ts';

const ROLLUPS = `
   CREATE TABLE rollups (
     level int NOT NULL,
     time_ms bigint NOT NULL,
     source text NOT NULL,
     destination text NOT NULL,
     requests bigint NOT NULL,
     denied bigint NOT NULL,
     errors bigint NOT NULL,
     bytes_in bigint NOT NULL,
     bytes_out bigint NOT NULL,
     duration_us bigint NOT NULL,
     ${BUCKET_COLUMNS.map((name) => `${name} bigint NOT NULL`).join(', ')},
     PRIMARY KEY (level, time_ms, source, destination)
   );`;

/** How many ids a part of `records` has, whether they are used or not. */
export const PART_IDS = 2 ** 32;
/** How many records a span tells of at most. */
export const SPAN_RECORDS = 8_192;

/**
 * Records in parts that go whole, and what lies where. What was there becomes the first part as it is: no row is written
 * again, but its indexes are. Sums have a table for each level.
 */
const PARTS = `
   CREATE TABLE record_parts (
     part bigint PRIMARY KEY,
     made_ms bigint NOT NULL,
     -- of what a database without parts held: how many records; such a part goes in pieces
     taken_over bigint
   );
   -- records of successive ids, with the times of their calls: what a time or a cursor needs is read from here
   CREATE TABLE record_spans (
     first_id bigint PRIMARY KEY,
     next_id bigint NOT NULL,
     part bigint NOT NULL,
     records bigint NOT NULL,
     min_ms bigint NOT NULL,
     max_ms bigint NOT NULL,
     arrived_ms bigint NOT NULL
   );
   DROP INDEX records_time, records_arrived, records_source, records_service, records_denied, records_status,
     records_path, records_trace, records_denial;
   ALTER TABLE records RENAME TO records_old;
   ALTER TABLE records_old RENAME CONSTRAINT records_pkey TO records_old_pkey;
   ALTER TABLE records_old ALTER COLUMN id DROP IDENTITY, DROP COLUMN record;
   CREATE TABLE records (
     id bigint NOT NULL,
     node text NOT NULL,
     arrived_ms bigint NOT NULL,
     time_ms bigint NOT NULL,
     source_service text,
     service text,
     verdict text NOT NULL,
     status bigint,
     path text,
     trace_id text,
     denial_id text,
     fields jsonb NOT NULL
   ) PARTITION BY RANGE (id);
   ALTER TABLE records ADD CONSTRAINT records_pkey PRIMARY KEY (id);
   CREATE INDEX records_edge ON records (source_service, service, id);
   CREATE INDEX records_service ON records (service, id);
   CREATE INDEX records_denied ON records (id) WHERE verdict = 'deny';
   CREATE INDEX records_status ON records (status, id) WHERE status <> 200;
   CREATE INDEX records_path ON records (path text_pattern_ops);
   CREATE INDEX records_duration ON records (((fields ->> 'duration_us')::bigint));
   CREATE INDEX records_trace ON records USING hash (trace_id);
   CREATE INDEX records_denial ON records (denial_id) WHERE denial_id IS NOT NULL;
   DO $$
   DECLARE
     newest bigint;
     number bigint;
   BEGIN
     SELECT max(id) INTO newest FROM records_old;
     IF newest IS NULL THEN
       DROP TABLE records_old;
       RETURN;
     END IF;
     number := newest / ${PART_IDS};
     EXECUTE format('ALTER TABLE records_old RENAME TO records_%s', number);
     EXECUTE format('ALTER TABLE records ATTACH PARTITION records_%s FOR VALUES FROM (MINVALUE) TO (%s)',
       number, (number + 1) * ${PART_IDS});
     INSERT INTO record_parts SELECT number, 0, count(*) FROM records;
     INSERT INTO record_spans
       SELECT min(id), max(id) + 1, number, count(*), min(time_ms), max(time_ms), max(arrived_ms)
       FROM records GROUP BY id / ${SPAN_RECORDS};
   END $$;
   ALTER TABLE rollups RENAME TO old_rollups;
   CREATE TABLE rollups (LIKE old_rollups, PRIMARY KEY (level, time_ms, source, destination)) PARTITION BY LIST (level);
   ${ROLLUP_LEVELS.map(partOfLevel).join('')}
   INSERT INTO rollups SELECT * FROM old_rollups ORDER BY level, time_ms;
   DROP TABLE old_rollups;`;

/** A level's own table: what is read together lies together. With room, since sums grow where they lie. */
function partOfLevel(_: unknown, level: number): string {
  return `CREATE TABLE rollups_${level} PARTITION OF rollups FOR VALUES IN (${level})
     WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);`;
}

/**
 * The schema in PostgreSQL, one script a version. A record is a row with its fields as `jsonb`: other programs ask it in
 * SQL, and what people filter by has an index.
 */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  `CREATE TABLE records (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     node text NOT NULL,
     arrived_ms bigint NOT NULL,
     time_ms bigint NOT NULL,
     source_service text,
     service text,
     verdict text NOT NULL,
     status bigint,
     path text,
     trace_id text,
     denial_id text,
     -- json keeps the fields as they came, in their order; jsonb is what filters look into
     record json NOT NULL,
     fields jsonb NOT NULL
   );
   CREATE INDEX records_time ON records (time_ms);
   CREATE INDEX records_arrived ON records (arrived_ms);
   CREATE INDEX records_source ON records (source_service, id);
   CREATE INDEX records_service ON records (service, id);
   CREATE INDEX records_denied ON records (id) WHERE verdict = 'deny';
   CREATE INDEX records_status ON records (status, id);
   CREATE INDEX records_path ON records (path text_pattern_ops, id);
   CREATE INDEX records_trace ON records (trace_id) WHERE trace_id IS NOT NULL;
   CREATE INDEX records_denial ON records (denial_id) WHERE denial_id IS NOT NULL;
   CREATE TABLE tallies (
     kind text NOT NULL,
     slot bigint NOT NULL,
     key text NOT NULL,
     count bigint NOT NULL,
     first_ms bigint NOT NULL,
     last_ms bigint NOT NULL,
     sample_id bigint NOT NULL,
     PRIMARY KEY (kind, slot, key)
   );
   CREATE TABLE sources (node text PRIMARY KEY, state text NOT NULL);
   CREATE TABLE source_hours (
     hour_ms bigint NOT NULL,
     node text NOT NULL,
     counts text NOT NULL,
     PRIMARY KEY (hour_ms, node)
   );
   ${ROLLUPS}`,
  upgradeSums(
    `CREATE TABLE rollup_levels (level int PRIMARY KEY, kept_from_ms bigint NOT NULL);${ROLLUPS}`,
    'source, destination',
  ),
  PARTS,
];
