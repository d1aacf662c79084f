import { fail, ok, type Result } from '#lib';
import type { AccessRecord } from '#telemetry';
import type { SourceState } from './coverage.ts';
import { type Damage, type Day, type DayFiles, openDayFiles } from './day-files.ts';
import { type Intake, takeIn } from './ingest.ts';
import type { RecordBounds, Report, StoreState } from './record-store.ts';
import { rollUp } from './rollups.ts';
import { tolerate } from './search.ts';
import { readsOf, type StoreReads } from './store-reads.ts';
import { tallyUp } from './tallies.ts';
import { isDamage, messageOf, transact, type WriteFailure } from './transact.ts';

/** What a batch came to: as `Added`, but for the records, which are named by their places in the reports. */
export type AddedPlaces = Omit<Intake, 'rows' | 'sources' | 'hours'> & {
  readonly stored: number;
  /** The id of the first; the others follow it one by one. */
  readonly firstId: number;
};

/** The store in SQLite files, synchronous: for the thread that writes them. */
export type EmbeddedStore = {
  readonly reads: StoreReads;
  readonly add: (reports: readonly Report[], nowMs: number) => Result<AddedPlaces, string>;
  /** Joins small blocks, after a batch was acknowledged. */
  readonly tidy: () => void;
  readonly prune: (nowMs: number) => Result<number, string>;
  readonly note: (damage: Damage) => void;
  readonly state: () => StoreState;
  readonly close: () => void;
};

/** What an embedded store is made of; `clock` a monotonic one, in ms. */
export type EmbeddedOptions = {
  readonly folder: string;
  readonly bounds: RecordBounds;
  readonly clock: () => number;
};

// SECURITY: names of nodes are their senders' own; those that are silent longest are forgotten first.
const MAX_SOURCES = 20_000;

/** Opens the store in a folder, made where it is missing. Throws where it cannot be used. */
export function openEmbeddedStore(options: EmbeddedOptions): EmbeddedStore {
  return new FileStore(options);
}

class FileStore implements EmbeddedStore {
  readonly reads: StoreReads;
  readonly #files: DayFiles;
  readonly #bounds: RecordBounds;
  readonly #sources: Map<string, SourceState>;

  constructor({ folder, bounds, clock }: EmbeddedOptions) {
    this.#files = openDayFiles(folder, bounds);
    this.#bounds = bounds;
    this.#sources = loadSources(this.#files.all());
    const gapsOf = (node: string) => this.#sources.get(node)?.gaps ?? [];
    this.reads = readsOf({ files: this.#files, clock, gapsOf });
  }

  add(reports: readonly Report[], nowMs: number): Result<AddedPlaces, string> {
    const intake = takeIn(reports, (node) => this.#sources.get(node), nowMs);
    try {
      const day = this.#files.current(nowMs);
      const added = this.#write(intake, day, nowMs);
      if (added.ok) return added;
      if (!added.error.damaged) return fail(added.error.message);
      this.#files.setAside(day, new Error(added.error.message));
      const again = this.#write(intake, this.#files.current(nowMs), nowMs);
      return again.ok ? again : fail(again.error.message);
    } catch (error) {
      return fail(messageOf(error));
    }
  }

  #write(intake: Intake, day: Day, nowMs: number): Result<AddedPlaces, WriteFailure> {
    const { rows, sources: changed, hours, ...rest } = intake;
    const firstId = day.base + day.file.next();
    const written = transact(day.file.db, () => {
      day.file.append(rows, nowMs);
      const records = rows.map(({ fields, ms }, at) => {
        return { id: firstId + at, ms, record: fields as unknown as AccessRecord };
      });
      day.file.count(tallyUp(records));
      day.rollups.add(rollUp(records.map(({ ms, record }) => [ms, record] as const)));
      for (const { hourMs, node, counts } of hours) day.file.countHour(hourMs, node, counts);
      for (const [node, state] of changed) day.file.saveSource(node, state);
    });
    if (!written.ok) return written;
    day.file.appended(rows.length);
    for (const [node, state] of changed) remember(this.#sources, node, state);
    return ok({ ...rest, stored: rows.length, firstId });
  }

  tidy(): void {
    const day = this.#files.all().at(-1);
    if (day === undefined) return;
    const done = transact(day.file.db, day.file.compact);
    // A full disk or a damaged block leaves the small blocks as they are: they are as good, only larger.
    if (!done.ok) {
      const reason = `blocks were not joined: ${done.error.message}`;
      this.#files.note({ name: day.name, reason });
    }
  }

  prune(nowMs: number): Result<number, string> {
    try {
      for (const day of this.#files.all()) {
        const forgotten = transact(day.file.db, () => day.rollups.forget(nowMs));
        if (forgotten.ok) continue;
        if (!forgotten.error.damaged) return fail(forgotten.error.message);
        this.#files.setAside(day, new Error(forgotten.error.message));
      }
      return ok(this.#files.prune(nowMs, this.#bounds));
    } catch (error) {
      return fail(messageOf(error));
    }
  }

  note(damage: Damage): void {
    this.#files.note(damage);
  }

  state(): StoreState {
    const facts = this.#each(({ file }) => file.facts());
    const day = this.#files.all().find(({ file }) => file.next() > 0);
    return {
      kind: 'embedded',
      records: facts.reduce((sum, { records }) => sum + records, 0),
      bytes: this.#files.bytes(),
      damaged: this.#files.damaged(),
      oldestMs: day === undefined ? undefined : oldestOf(day),
      newestId: this.reads.newestId(),
    };
  }

  close(): void {
    this.#files.close();
  }

  #each<T>(read: (day: Day) => T): readonly T[] {
    return this.#files.all().flatMap((day) => {
      const found = tolerate(this.#files, day, () => read(day));
      return found === undefined ? [] : [found];
    });
  }
}

function oldestOf({ file }: Day): number | undefined {
  for (const place of file.places(0, true)) return place.minMs;
  return undefined;
}

/** The newest that any file says of each source. */
function loadSources(days: readonly Day[]): Map<string, SourceState> {
  const sources = new Map<string, SourceState>();
  for (const { file } of days) {
    try {
      for (const [node, state] of file.sources()) remember(sources, node, state);
    } catch (error) {
      // The first to read its records will put it aside; until then nothing is known of its sources.
      if (!isDamage(error)) throw error;
    }
  }
  return sources;
}

function remember(sources: Map<string, SourceState>, node: string, state: SourceState): void {
  sources.delete(node);
  sources.set(node, state);
  if (sources.size <= MAX_SOURCES) return;
  const [silent] = sources.keys();
  if (silent !== undefined) sources.delete(silent);
}
