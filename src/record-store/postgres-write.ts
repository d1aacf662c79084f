import type postgres from 'postgres';
import { addCounts, type HourCounts, type SourceState } from './coverage.ts';
import { type Intake, takeIn } from './ingest.ts';
import { listOf, storable } from './postgres-fields.ts';
import { noteSpans, placeNow, tableOf } from './postgres-parts.ts';
import type { PostgresRollups } from './postgres-rollups.ts';
import type { Added, Report, StoredRecord } from './record-store.ts';
import { rollUp } from './rollups.ts';
import type { Row } from './row.ts';
import { storedRecord } from './search.ts';
import { tallyUp } from './tallies.ts';

type Transaction = postgres.TransactionSql;

const INSERT_ROWS = 2_000;

/** Writes reports in a transaction whose caller holds the writers' lock: all of it, or nothing where it rejects. */
export async function writeReports(
  tx: Transaction,
  reports: readonly Report[],
  { rollups, nowMs }: { readonly rollups: PostgresRollups; readonly nowMs: number },
): Promise<Added> {
  const known = await knownSources(tx, [...new Set(reports.map(({ node }) => node))]);
  const intake = takeIn(reports, (node) => known.get(node), nowMs);
  const stored = await insertRecords(tx, intake.rows, nowMs);
  const records = stored.map((record, at) => ({
    id: Number(record['record.id']),
    ms: intake.rows[at]?.ms ?? 0,
    record,
  }));
  await saveTallies(tx, records);
  await rollups.add(tx, rollUp(records.map(({ ms, record }) => [ms, record] as const)));
  await saveHours(tx, intake.hours);
  await saveSources(tx, intake.sources);
  const { duplicates, refused, refusals, denied, deniedEdges } = intake;
  const counts = { stored: stored.length, duplicates, refused, refusals, denied, deniedEdges };
  return { ...counts, records: () => stored };
}

/** What is known of some sources. */
export async function knownSources(
  sql: postgres.Sql | Transaction,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, SourceState>> {
  const rows = await (sql as postgres.Sql)<{ node: string; state: string }[]>`
    SELECT node, state FROM sources WHERE node = ANY(${[...nodes]}::text[])`;
  return new Map(rows.map(({ node, state }) => [node, JSON.parse(state) as SourceState]));
}

async function insertRecords(
  tx: Transaction,
  rows: readonly Row[],
  nowMs: number,
): Promise<readonly StoredRecord[]> {
  if (rows.length === 0) return [];
  const place = await placeNow(tx, nowMs);
  const stored: StoredRecord[] = [];
  for (let at = 0; at < rows.length; at += INSERT_ROWS) {
    const part = rows
      .slice(at, at + INSERT_ROWS)
      .map((row) => ({ ...row, ...storable(row.fields) }));
    const firstId = place.nextId + at;
    await insertPart(tx, tableOf(place.part), { rows: part, firstId, nowMs });
    stored.push(...part.map((row, i) => storedRecord(row, firstId + i)));
  }
  await noteSpans(
    tx,
    place,
    rows.map(({ ms }) => ms),
    nowMs,
  );
  return stored;
}

type Insert = {
  readonly rows: readonly (Row & { readonly json: string })[];
  readonly firstId: number;
  readonly nowMs: number;
};

/** JSON holds no line feed, so that lines are what is split soonest. `OFFSET 0`: each is parsed once, not once a column. */
async function insertPart(
  tx: Transaction,
  table: string,
  { rows, firstId, nowMs }: Insert,
): Promise<void> {
  await tx.unsafe(
    `INSERT INTO ${table} (id, node, arrived_ms, time_ms, source_service, service, verdict, status, path, trace_id,
       denial_id, fields)
     SELECT $1::bigint + place - 1, node, $2::bigint, time_ms, f ->> 'source.service', f ->> 'destination.service',
       f ->> 'verdict', (f ->> 'status')::bigint, f ->> 'path', f ->> 'trace_id', f ->> 'denial_id', f
     FROM (
       SELECT place, node, time_ms, line::jsonb AS f
       FROM ROWS FROM (unnest($3::text[]), unnest($4::text::bigint[]), string_to_table($5::text, E'\\n'))
         WITH ORDINALITY AS one (node, time_ms, line, place)
       OFFSET 0
     ) AS parsed`,
    [
      firstId,
      nowMs,
      rows.map(({ node }) => node),
      listOf(rows.map(({ ms }) => ms)),
      rows.map(({ json }) => json).join('\n'),
    ],
  );
}

async function saveTallies(tx: Transaction, records: Parameters<typeof tallyUp>[0]): Promise<void> {
  const tallies = tallyUp(records);
  if (tallies.length === 0) return;
  await tx`
    INSERT INTO tallies AS known (kind, slot, key, count, first_ms, last_ms, sample_id)
    SELECT * FROM unnest(
      ${tallies.map(({ kind }) => kind)}::text[], ${listOf(tallies.map(({ slot }) => slot))}::text::bigint[],
      ${tallies.map(({ key }) => key)}::text[], ${listOf(tallies.map(({ count }) => count))}::text::bigint[],
      ${listOf(tallies.map(({ firstMs }) => firstMs))}::text::bigint[],
      ${listOf(tallies.map(({ lastMs }) => lastMs))}::text::bigint[],
      ${listOf(tallies.map(({ sampleId }) => sampleId))}::text::bigint[])
    ON CONFLICT (kind, slot, key) DO UPDATE SET count = known.count + excluded.count,
      first_ms = least(known.first_ms, excluded.first_ms), last_ms = greatest(known.last_ms, excluded.last_ms),
      sample_id = greatest(known.sample_id, excluded.sample_id)`;
}

async function saveHours(tx: Transaction, hours: Intake['hours']): Promise<void> {
  if (hours.length === 0) return;
  const known = await tx<{ hourMs: number; node: string; counts: string }[]>`
    SELECT hour_ms AS "hourMs", node, counts FROM source_hours
    WHERE (hour_ms, node) IN (SELECT * FROM unnest(
      ${listOf(hours.map(({ hourMs }) => hourMs))}::text::bigint[], ${hours.map(({ node }) => node)}::text[]))`;
  const sums = new Map<string, Intake['hours'][number]>();
  const inAll = known.map((one) => ({ ...one, counts: JSON.parse(one.counts) as HourCounts }));
  for (const { hourMs, node, counts } of [...inAll, ...hours]) {
    const sum = sums.get(`${hourMs} ${node}`);
    const added = sum === undefined ? counts : addCounts(sum.counts, counts);
    sums.set(`${hourMs} ${node}`, { hourMs, node, counts: added });
  }
  const rows = [...sums.values()];
  await tx`
    INSERT INTO source_hours SELECT * FROM unnest(
      ${listOf(rows.map(({ hourMs }) => hourMs))}::text::bigint[], ${rows.map(({ node }) => node)}::text[],
      ${rows.map(({ counts }) => JSON.stringify(counts))}::text[])
    ON CONFLICT (hour_ms, node) DO UPDATE SET counts = excluded.counts`;
}

async function saveSources(tx: Transaction, sources: Intake['sources']): Promise<void> {
  if (sources.size === 0) return;
  await tx`
    INSERT INTO sources SELECT * FROM unnest(
      ${[...sources.keys()]}::text[], ${[...sources.values()].map((state) => JSON.stringify(state))}::text[])
    ON CONFLICT (node) DO UPDATE SET state = excluded.state`;
}
