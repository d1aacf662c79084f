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

/**
 * The schema in PostgreSQL, one script a version. A record is a row with its fields as `jsonb`: other programs ask it in
 * SQL, and what people filter by has an index. `records` is cut by nothing but time; old rows are deleted.
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
];
