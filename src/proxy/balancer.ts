/** What is chosen among. */
export type Candidate = {
  /** Tries under way. */
  readonly active: number;
};

/** How often two are drawn before all are looked at. */
const DRAWS = 4;

/**
 * The less busy of two drawn at random ("power of two choices"): nearly as even as looking at all,
 * and without the herd that runs to whoever is least busy. Undefined if none is usable.
 */
export function chooseLeastRequest<T extends Candidate>(
  all: readonly T[],
  isUsable: (candidate: T) => boolean,
  random: () => number,
): T | undefined {
  const count = all.length;
  if (count > 1) {
    for (let draw = 0; draw < DRAWS; draw++) {
      const first = Math.floor(random() * count);
      // Drawn from the others, so that the two differ.
      const second = (first + 1 + Math.floor(random() * (count - 1))) % count;
      const chosen = lessBusy(usable(all[first], isUsable), usable(all[second], isUsable));
      if (chosen !== undefined) return chosen;
    }
  }
  return chooseInTurn(all, isUsable, Math.floor(random() * count));
}

/** The first usable one from `turn` on, around the end. */
export function chooseInTurn<T>(
  all: readonly T[],
  isUsable: (candidate: T) => boolean,
  turn: number,
): T | undefined {
  const count = all.length;
  for (let i = 0; i < count; i++) {
    const candidate = usable(all[(turn + i) % count], isUsable);
    if (candidate !== undefined) return candidate;
  }
  return undefined;
}

function usable<T>(candidate: T | undefined, isUsable: (candidate: T) => boolean): T | undefined {
  return candidate !== undefined && isUsable(candidate) ? candidate : undefined;
}

function lessBusy<T extends Candidate>(a: T | undefined, b: T | undefined): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.active < a.active ? b : a;
}
