import { useCallback, useEffect, useState } from 'react';
import { type ApiFailure, fetchJson } from '../api/fetch-json.ts';
import { type Answer } from './answer-cache.ts';
import { type AnswerOptions, useAnswer } from './use-live.ts';

/** A page as any list of the API gives it; the cursor has two names. */
type Paged<T> = {
  readonly items: readonly T[];
  readonly next?: string | null;
  readonly next_cursor?: string | null;
};

/** A list that grows backwards in time: its first page kept fresh, older ones as they are asked for. */
export type PagedAnswer<T> = {
  readonly answer: Answer<readonly T[]>;
  readonly hasOlder: boolean;
  readonly loadOlder: () => void;
};

type Older<T> = {
  readonly of: string;
  readonly items: readonly T[];
  readonly next: string | null;
  readonly failure: ApiFailure | undefined;
};

/** Follows a list. `keyOf` tells items apart, so that a first page which moved on leaves no double. */
export function usePages<T>(
  path: string,
  keyOf: (item: T) => string,
  options: AnswerOptions = {},
): PagedAnswer<T> {
  const first = useAnswer<Paged<T>>(path, options);
  const [older, setOlder] = useState<Older<T>>();
  useEffect(() => setOlder(undefined), [path]);
  const known = older?.of === path ? older : undefined;
  const next = known === undefined ? nextOf(first.data) : known.next;
  const loadOlder = useCallback(() => {
    if (next === null) return;
    const separator = path.includes('?') ? '&' : '?';
    void fetchJson<Paged<T>>(`${path}${separator}cursor=${encodeURIComponent(next)}`).then(
      (result) =>
        setOlder((before) => {
          const items = before?.of === path ? before.items : [];
          if (result.kind === 'failure') return { of: path, items, next, failure: result.failure };
          const { data } = result;
          return {
            of: path,
            items: [...items, ...data.items],
            next: nextOf(data),
            failure: undefined,
          };
        }),
    );
  }, [path, next]);
  const data = first.data && withoutDoubles([...first.data.items, ...(known?.items ?? [])], keyOf);
  return {
    answer: { data, heardAt: first.heardAt, failure: first.failure ?? known?.failure },
    hasOlder: next !== null,
    loadOlder,
  };
}

function nextOf(page: Paged<unknown> | undefined): string | null {
  return page?.next_cursor ?? page?.next ?? null;
}

function withoutDoubles<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
