import { useCallback, useEffect, useRef, useState } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Missing } from '../../api/completeness.ts';
import { fetchJson } from '../../api/fetch-json.ts';
import type { Page } from '../../api/page.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { liveChannel, useLiveState } from '../../live/use-live.ts';
import { useVisible } from '../../live/use-visible.ts';
import { parsePlainJson } from '../../words/plain-text.ts';
import { mergeRecords } from './record-rows.ts';
import { recordsPath, type TrafficFilter, watchPath } from './traffic-filter.ts';

/** Arrivals are shown together this often, so that a busy mesh does not redraw for each call. */
const SHOW_EVERY_MS = 400;
/** How long after a refusal the tail is asked for again. */
const REOPEN_MS = 3000;

/** The records of a filter: those of the past, and those that arrive. */
export type RecordTail = {
  readonly answer: Answer<readonly ListedRecord[]>;
  /** Records that arrived while held back. */
  readonly waiting: readonly ListedRecord[];
  /** What happened and is not among them, as far as it is known. */
  readonly missing: readonly Missing[];
  readonly hasOlder: boolean;
  readonly loadOlder: () => void;
};

type State = {
  readonly answer: Answer<readonly ListedRecord[]>;
  readonly waiting: readonly ListedRecord[];
  readonly next: string | null;
  readonly missing: readonly Missing[];
};

const NOTHING: State = {
  answer: { data: undefined, heardAt: undefined, failure: undefined },
  waiting: [],
  next: null,
  missing: [],
};

/** Follows the records of a filter; `held` keeps arrivals back until it is lifted. */
export function useRecords(filter: TrafficFilter, held: boolean): RecordTail {
  const [state, setState] = useState<State>(NOTHING);
  const isPaused = useLiveState().kind === 'paused';
  const isVisible = useVisible();
  const listed = useRef<string>(undefined);
  const heldNow = useRef(held);
  const listPath = recordsPath(filter);
  const tailPath = watchPath(filter);

  useEffect(() => {
    if (isPaused || !isVisible) return undefined;
    // Rows of another filter go at once; rows of this one stay while it is fetched anew.
    if (listed.current !== listPath) setState(NOTHING);
    listed.current = listPath;
    return follow({ listPath, tailPath, setState, isHeld: () => heldNow.current });
  }, [listPath, tailPath, isPaused, isVisible]);

  useEffect(() => {
    heldNow.current = held;
    if (!held) setState((before) => (before.waiting.length === 0 ? before : show(before, [])));
  }, [held]);

  const loadOlder = useCallback(() => {
    if (state.next === null) return;
    void fetchPage(recordsPath(filter, state.next), setState);
  }, [filter, state.next]);

  return {
    answer: state.answer,
    waiting: state.waiting,
    missing: state.missing,
    hasOlder: state.next !== null,
    loadOlder,
  };
}

/** Records also say what of them is missing. */
type RecordsPage = Page<ListedRecord> & { readonly missing?: readonly Missing[] };

type SetState = React.Dispatch<React.SetStateAction<State>>;

function follow(options: {
  listPath: string;
  tailPath: string | undefined;
  setState: SetState;
  isHeld: () => boolean;
}): () => void {
  const { setState } = options;
  let arrived: ListedRecord[] = [];
  void fetchPage(options.listPath, setState);
  if (options.tailPath === undefined) return () => undefined;
  const closeTail = openTail(options.tailPath, {
    onRecord: (record) => arrived.push(record),
    // The list is fetched after each (re)connection: what was missed in between is in it.
    onOpen: () => void fetchPage(options.listPath, setState),
  });
  const timer = setInterval(() => {
    if (arrived.length === 0) return;
    const batch = arrived;
    arrived = [];
    setState((before) =>
      options.isHeld()
        ? { ...before, waiting: [...batch, ...before.waiting] }
        : show(before, batch),
    );
  }, SHOW_EVERY_MS);
  return () => {
    closeTail();
    clearInterval(timer);
  };
}

/** Opens a tail; one that the browser gave up, as it does after an HTTP error, is opened anew. */
function openTail(
  path: string,
  on: { onRecord: (record: ListedRecord) => void; onOpen: () => void },
): () => void {
  let reopening: ReturnType<typeof setTimeout> | undefined;
  let tail: EventSource;
  const open = (): void => {
    tail = new EventSource(path);
    tail.addEventListener('record', (event: MessageEvent<string>) => {
      on.onRecord(parsePlainJson(event.data) as ListedRecord);
      liveChannel.heard();
    });
    tail.onopen = on.onOpen;
    tail.onerror = () => {
      if (tail.readyState === EventSource.CLOSED) reopening = setTimeout(open, REOPEN_MS);
    };
  };
  open();
  return () => {
    clearTimeout(reopening);
    tail.close();
  };
}

async function fetchPage(path: string, setState: SetState): Promise<void> {
  const result = await fetchJson<RecordsPage>(path);
  if (result.kind === 'failure') {
    if (result.failure.status === 401) liveChannel.signedOut();
    setState((before) => ({ ...before, answer: { ...before.answer, failure: result.failure } }));
    return;
  }
  liveChannel.heard();
  setState((before) => ({
    ...before,
    next: result.data.next,
    missing: result.data.missing ?? [],
    answer: {
      data: mergeRecords(before.answer.data ?? [], result.data.items),
      heardAt: Date.now(),
      failure: undefined,
    },
  }));
}

function show(before: State, batch: readonly ListedRecord[]): State {
  const data = mergeRecords(before.answer.data ?? [], [...batch, ...before.waiting]);
  return {
    ...before,
    waiting: [],
    answer: { data, heardAt: Date.now(), failure: undefined },
  };
}
