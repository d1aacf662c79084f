import type { MessagePort } from 'node:worker_threads';
import { type EmbeddedStore, openEmbeddedStore } from './embedded-store.ts';
import { openImport } from './import-records.ts';
import { messageOf } from './transact.ts';
import {
  unpackReports,
  type WorkerAnswer,
  type WorkerRequest,
  type WorkerStart,
} from './worker-messages.ts';

const TIDY_AFTER_MS = 20;
const IMPORT_RETRY_MS = 60_000;

/** What the thread does. */
export type ServeRecords = (port: MessagePort, start: WorkerStart) => void;

/** Opens the store and answers questions about it until it is closed. Throws where it cannot be opened. */
export function serveRecords(port: MessagePort, { folder, bounds, importFrom }: WorkerStart): void {
  const store = openEmbeddedStore({ folder, bounds, clock: () => performance.now() });
  let tidying: NodeJS.Timeout | undefined;
  const stopImport = importRecords(store, importFrom);
  port.on('message', (request: WorkerRequest) => {
    port.postMessage(answerTo(request, store));
    if (request.kind === 'add') {
      // After the acknowledgement, and once for what comes in quick succession.
      tidying ??= setTimeout(() => {
        tidying = undefined;
        store.tidy();
      }, TIDY_AFTER_MS);
    }
    if (request.kind !== 'close') return;
    clearTimeout(tidying);
    stopImport();
    port.close();
  });
}

/** Between questions, a step at a time; returns how to stop. */
function importRecords(store: EmbeddedStore, importFrom: string | undefined): () => void {
  const old = importFrom === undefined ? undefined : openImport(importFrom, store);
  let timer: NodeJS.Timeout | undefined;
  const step = (): void => {
    const result = old?.step(Date.now());
    if (result?.kind === 'more') timer = setTimeout(step, 0);
    if (result?.kind === 'failed') timer = setTimeout(step, IMPORT_RETRY_MS);
    if (result?.kind === 'damaged') store.note({ name: result.aside, reason: result.reason });
    if (result?.kind === 'done') store.tidy();
  };
  step();
  return () => clearTimeout(timer);
}

function answerTo(request: WorkerRequest, store: EmbeddedStore): WorkerAnswer {
  const { number } = request;
  try {
    return { number, ok: true, json: JSON.stringify(answer(request, store) ?? null) };
  } catch (error) {
    return { number, ok: false, message: messageOf(error) };
  }
}

function answer(request: WorkerRequest, store: EmbeddedStore): unknown {
  switch (request.kind) {
    case 'add':
      return store.add(unpackReports(request.reports), request.nowMs);
    case 'list':
      return store.list(request.query, request.page);
    case 'byIds':
      return request.ids.map((id) => store.byId(id) ?? null);
    case 'tallies':
      return store.tallies(request.tally, request.sinceMs);
    case 'rollups':
      return store.rollups(request.query);
    case 'completeness':
      return store.completeness(request.range);
    case 'prune':
      return store.prune(request.nowMs);
    case 'newestId':
      return store.newestId();
    case 'state':
      return store.state();
    case 'close':
      return store.close();
  }
}
