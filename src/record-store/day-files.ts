import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DayFile, openDayFile, readDayFile } from './day-file.ts';
import { type DayRollups, dayRollups } from './day-rollups.ts';
import type { RecordBounds } from './record-store.ts';
import { isDamage, messageOf } from './transact.ts';

/** One day's file, or one of several of a day, with where its ids begin. */
export type Day = {
  readonly name: string;
  /** The id of its first record. */
  readonly base: number;
  readonly file: DayFile;
  readonly rollups: DayRollups;
};

/** What could not be read, and where it lies now. */
export type Damage = { readonly name: string; readonly reason: string };

/** The files of a folder, oldest first. */
export type DayFiles = {
  readonly all: () => readonly Day[];
  /** The one to write to now; begins another where the day ended or the file is full. */
  readonly current: (nowMs: number) => Day;
  /** The file that an id lies in. */
  readonly of: (id: number) => Day | undefined;
  /** Puts a damaged file aside, for whoever can read it; the others go on. */
  readonly setAside: (day: Day, error: unknown) => void;
  /** Notes damage that leaves the rest of its file readable. */
  readonly note: (damage: Damage) => void;
  readonly damaged: () => readonly Damage[];
  /** Deletes the oldest files past the bounds, never the current one; returns how many records went. */
  readonly prune: (nowMs: number, bounds: RecordBounds) => number;
  readonly bytes: () => number;
  readonly close: () => void;
};

/** What questions need of the files of a folder. */
export type ReadableDays = Pick<DayFiles, 'all' | 'of' | 'setAside' | 'note'>;

/** The same files, only to be read, while another thread writes them. */
export type ReadOnlyDays = ReadableDays & {
  /** Looks which files there are now; before each question. */
  readonly refresh: () => void;
  readonly close: () => void;
};

/** Files have room for `2^32` ids a day; a further file of a day begins where the time of day points to. */
const IDS_A_DAY = 2 ** 32;
const IDS_A_MS = 32;
const DAY_MS = 86_400_000;
const NAME = /^(\d{4}-\d\d-\d\d)(?:-(\d{1,10}))?\.db$/;
const MAX_DAMAGED = 100;
// One file never holds more than this part of all, so that deleting the oldest leaves most of what there is.
const FILES_AT_LEAST = 8;

const SUFFIXES = ['', '-wal', '-shm'] as const;

/** Opens the files of a folder, made with mode 0700. Throws where the folder cannot be used. */
export function openDayFiles(folder: string, bounds: RecordBounds): DayFiles {
  return new Files(folder, bounds);
}

/**
 * Files that another thread writes. What is damaged is thrown: it is for whoever writes to put it aside.
 */
export function openReadOnlyDays(folder: string): ReadOnlyDays {
  let days: readonly Day[] = [];
  const refuse = (error: unknown): never => {
    throw error instanceof Error ? error : new Error(messageOf(error));
  };
  return {
    refresh() {
      const names = readdirSync(folder).filter((name) => NAME.test(name));
      for (const { name, file } of days) if (!names.includes(name)) closeQuietly(file);
      const kept = days.filter(({ name }) => names.includes(name));
      const known = new Set(kept.map(({ name }) => name));
      const opened = names.flatMap((name) =>
        known.has(name) ? [] : (openReadOnlyDay(folder, name) ?? []),
      );
      days = [...kept, ...opened].sort((a, b) => a.base - b.base);
    },
    all: () => days,
    of: (id) => days.findLast(({ base }) => base <= id),
    setAside: (_day, error) => refuse(error),
    note: ({ reason }) => refuse(new Error(reason)),
    close() {
      for (const { file } of days) closeQuietly(file);
      days = [];
    },
  };
}

class Files implements DayFiles {
  readonly #folder: string;
  readonly #bounds: RecordBounds;
  readonly #damaged: Damage[] = [];
  #days: readonly Day[] = [];

  constructor(folder: string, bounds: RecordBounds) {
    this.#folder = folder;
    this.#bounds = bounds;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder).sort()) {
      if (name.includes('.damaged-') && name.endsWith('.db')) {
        this.note({ name, reason: 'set aside before' });
      }
      if (!NAME.test(name)) continue;
      try {
        this.#open(name);
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.note({ name: moveAside(folder, name), reason: messageOf(error) });
      }
    }
  }

  #open(name: string): Day {
    const day = openDay(this.#folder, name);
    this.#days = [...this.#days, day].sort((a, b) => a.base - b.base);
    return day;
  }

  #remove(day: Day): void {
    this.#days = this.#days.filter((each) => each !== day);
    closeQuietly(day.file);
  }

  all(): readonly Day[] {
    return this.#days;
  }

  current(nowMs: number): Day {
    const last = this.#days.at(-1);
    const today = Math.floor(nowMs / DAY_MS) * IDS_A_DAY;
    // A clock that was set back goes on in the file there is: ids only ever grow.
    const isOpen = last !== undefined && last.base >= today;
    if (isOpen && last.file.bytes() < this.#bounds.maxBytes / FILES_AT_LEAST) return last;
    const isDamaged = damagedToday(this.#damaged, nowMs);
    last?.file.rest();
    return this.#open(nameFor(nextBase(nowMs, last, isDamaged)));
  }

  of(id: number): Day | undefined {
    return this.#days.findLast(({ base }) => base <= id);
  }

  setAside(day: Day, error: unknown): void {
    this.#remove(day);
    this.note({ name: moveAside(this.#folder, day.name), reason: messageOf(error) });
  }

  note(damage: Damage): void {
    const isKnown = this.#damaged.some(
      ({ name, reason }) => name === damage.name && reason === damage.reason,
    );
    if (!isKnown && this.#damaged.length < MAX_DAMAGED) this.#damaged.push(damage);
  }

  damaged(): readonly Damage[] {
    return this.#damaged;
  }

  prune(nowMs: number, { maxBytes, maxAgeMs }: RecordBounds): number {
    let gone = 0;
    for (const day of this.#days.slice(0, -1)) {
      const { newestArrivalMs = 0, records } = day.file.facts();
      if (newestArrivalMs >= nowMs - maxAgeMs && this.bytes() <= maxBytes) break;
      this.#remove(day);
      for (const suffix of SUFFIXES) rmSync(join(this.#folder, day.name) + suffix, { force: true });
      gone += records;
    }
    return gone;
  }

  bytes(): number {
    return this.#days.reduce((sum, { file }) => sum + file.bytes(), 0);
  }

  close(): void {
    for (const { file } of this.#days) closeQuietly(file);
    this.#days = [];
  }
}

/** Undefined for a file that is being made. */
function openReadOnlyDay(folder: string, name: string): Day | undefined {
  const file = readDayFile(join(folder, name));
  return file === undefined ? undefined : dayOf(name, file);
}

function openDay(folder: string, name: string): Day {
  return dayOf(name, openDayFile(join(folder, name)));
}

function dayOf(name: string, file: DayFile): Day {
  try {
    return { name, base: baseOf(name), file, rollups: dayRollups(file.db) };
  } catch (error) {
    closeQuietly(file);
    throw error;
  }
}

function baseOf(name: string): number {
  const [, day = '', start = '0'] = NAME.exec(name) ?? [];
  return Math.floor(Date.parse(`${day}T00:00:00Z`) / DAY_MS) * IDS_A_DAY + Number(start);
}

/** The first id of a new file: the day's first, unless it was given already, or may have been. */
function nextBase(nowMs: number, last: Day | undefined, isDamaged: boolean): number {
  const today = Math.floor(nowMs / DAY_MS) * IDS_A_DAY;
  const taken = last === undefined ? 0 : last.base + last.file.next();
  if (taken <= today && !isDamaged) return today;
  return Math.max(taken, today + Math.floor(nowMs % DAY_MS) * IDS_A_MS);
}

function nameFor(id: number): string {
  const day = new Date(Math.floor(id / IDS_A_DAY) * DAY_MS).toISOString().slice(0, 10);
  const start = id % IDS_A_DAY;
  return start === 0 ? `${day}.db` : `${day}-${String(start).padStart(10, '0')}.db`;
}

function damagedToday(damaged: readonly Damage[], nowMs: number): boolean {
  const today = new Date(nowMs).toISOString().slice(0, 10);
  return damaged.some(({ name }) => name.startsWith(today));
}

function moveAside(folder: string, name: string): string {
  const aside = `${name.replace(/\.db$/, '')}.damaged-${randomUUID()}.db`;
  for (const suffix of SUFFIXES) {
    const path = join(folder, name) + suffix;
    if (existsSync(path)) renameSync(path, join(folder, aside) + suffix);
  }
  return aside;
}

function closeQuietly(file: DayFile): void {
  try {
    file.close();
  } catch {
    // A damaged file may not even close well; its handle is gone all the same.
  }
}
