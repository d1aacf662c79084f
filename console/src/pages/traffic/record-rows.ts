import type { ListedRecord } from '../../api/access-record.ts';

/** More rows than this are not kept; what is older is a question for `palisade log`. */
export const MAX_ROWS = 1000;
/** More calls than this beside one bury it. */
const MAX_AROUND = 20;

/** Newest first, each record once, bounded. */
export function mergeRecords(
  shown: readonly ListedRecord[],
  arrived: readonly ListedRecord[],
): readonly ListedRecord[] {
  const known = new Set(shown.map((record) => record['record.id']));
  const fresh = arrived.filter((record) => !known.has(record['record.id']));
  if (fresh.length === 0) return shown;
  const merged = [...fresh, ...shown].toSorted((a, b) => compare(b.time, a.time));
  return merged.slice(0, MAX_ROWS);
}

/**
 * A call between two sidecars is recorded at both. The caller's record of a call that reached the
 * service says nothing more, so it is left out; what failed before it got there is kept.
 */
export function oneSide(records: readonly ListedRecord[]): readonly ListedRecord[] {
  return records.filter(
    ({ reporter, reason, denial_id }) =>
      reporter !== 'source' || (reason !== null && reason !== '' && denial_id === null),
  );
}

/** The records that hold the text anywhere a person would look for it. */
export function matchRecords(
  records: readonly ListedRecord[],
  text: string,
): readonly ListedRecord[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return records;
  return records.filter((record) =>
    [
      record.method,
      record.path,
      record.host,
      record.status,
      record['source.service'],
      record['source.id'],
      record['destination.service'],
      record.reason,
      record.policy,
      record.denial_id,
      record.trace_id,
    ].some((value) =>
      String(value ?? '')
        .toLowerCase()
        .includes(wanted),
    ),
  );
}

/** Records from or to the services of a trace that are none of its own, the earliest first. */
export function aroundOf(
  records: readonly ListedRecord[],
  own: readonly ListedRecord[],
): readonly ListedRecord[] {
  const ids = new Set(own.map((record) => record['record.id']));
  const ends = (record: ListedRecord): (string | null)[] => [
    record['source.service'],
    record['destination.service'],
  ];
  const services = new Set(own.flatMap(ends).filter((service) => service !== null));
  return oneSide(records)
    .filter((record) => !ids.has(record['record.id']))
    .filter((record) => ends(record).some((service) => service !== null && services.has(service)))
    .toSorted((a, b) => compare(a.time, b.time))
    .slice(0, MAX_AROUND);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
