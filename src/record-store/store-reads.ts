import type { Gap } from './coverage.ts';
import { type Completeness, completenessOf, hourOf } from './coverage.ts';
import type { Day, ReadableDays } from './day-files.ts';
import type {
  PageQuery,
  RecordPage,
  RecordQuery,
  StoredRecord,
  TimeRange,
} from './record-store.ts';
import { answerOf, type RollupAnswer, type RollupQuery } from './rollups.ts';
import { recordById, search, tolerate } from './search.ts';
import { mergeTallies, slotOf, type TallyKind, type TallyRow } from './tallies.ts';

/** The questions that files answer by themselves, whoever opened them. */
export type StoreReads = {
  readonly list: (query: RecordQuery, page: PageQuery) => RecordPage;
  readonly newestId: () => number;
  readonly byId: (id: number) => StoredRecord | undefined;
  readonly tallies: (kind: TallyKind, sinceMs: number) => readonly TallyRow[];
  readonly rollups: (query: RollupQuery) => RollupAnswer;
  readonly completeness: (range: TimeRange) => Completeness;
};

/** What is read: `clock` a monotonic one, in ms; `gapsOf` the numbers that are missing of a source. */
export type Readable = {
  readonly files: ReadableDays;
  readonly clock: () => number;
  readonly gapsOf: (node: string) => readonly Gap[];
};

/** The questions about some files. */
export function readsOf({ files, clock, gapsOf }: Readable): StoreReads {
  const each = <T>(read: (day: Day) => T): readonly T[] =>
    files.all().flatMap((day) => {
      const found = tolerate(files, day, () => read(day));
      return found === undefined ? [] : [found];
    });
  return {
    list: (query, page) => search(files, query, page, clock),
    newestId() {
      const day = files.all().findLast(({ file }) => file.next() > 0);
      return day === undefined ? 0 : day.base + day.file.next() - 1;
    },
    byId: (id) => recordById(files, id),
    tallies: (kind, sinceMs) =>
      mergeTallies(each(({ file }) => file.tallies(kind, slotOf(sinceMs))).flat()),
    rollups: (query) => answerOf(each(({ rollups }) => rollups.read(query)).flat(), query),
    completeness({ fromMs, untilMs }) {
      const hours = each(({ file }) => file.hours(hourOf(fromMs), untilMs)).flat();
      return completenessOf(hours, gapsOf);
    },
  };
}
