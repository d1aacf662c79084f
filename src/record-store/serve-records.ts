import type { MessagePort } from 'node:worker_threads';
import type { Gap } from './coverage.ts';
import { openReadOnlyDays } from './day-files.ts';
import { type EmbeddedStore, openEmbeddedStore } from './embedded-store.ts';
import { openImport } from './import-records.ts';
import { readsOf, type StoreReads } from './store-reads.ts';
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

const clock = (): number => performance.now();

/**
 * Opens the store and answers questions about it until it is closed. A thread that only reads works beside the one that
 * writes, so that neither a batch nor the joining of blocks holds up an answer. Throws where it cannot be opened.
 */
export function serveRecords(port: MessagePort, start: WorkerStart): void {
  if (start.work === 'read') serveReads(port, start.folder);
  else serveAll(port, start);
}

function serveReads(port: MessagePort, folder: string): void {
  const files = openReadOnlyDays(folder);
  const gapsOf = (node: string): readonly Gap[] => {
    for (const { file } of files.all().toReversed()) {
      const found = file.source(node);
      if (found !== undefined) return found.gaps;
    }
    return [];
  };
  const reads = readsOf({ files, clock, gapsOf });
  port.on('message', (request: WorkerRequest) => {
    const ask = (): unknown => {
      if (request.kind === 'close') return files.close();
      files.refresh();
      return answerRead(request, reads);
    };
    port.postMessage(answerTo(request, ask));
    if (request.kind === 'close') port.close();
  });
}

function serveAll(port: MessagePort, { folder, bounds, importFrom }: WorkerStart): void {
  const store = openEmbeddedStore({ folder, bounds, clock });
  let tidying: NodeJS.Timeout | undefined;
  const stopImport = importRecords(store, importFrom);
  port.on('message', (request: WorkerRequest) => {
    port.postMessage(answerTo(request, () => answer(request, store)));
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

function answerTo({ number }: WorkerRequest, ask: () => unknown): WorkerAnswer {
  try {
    return { number, ok: true, json: JSON.stringify(ask() ?? null) };
  } catch (error) {
    return { number, ok: false, message: messageOf(error) };
  }
}

function answer(request: WorkerRequest, store: EmbeddedStore): unknown {
  switch (request.kind) {
    case 'add':
      return store.add(unpackReports(request.reports), request.nowMs);
    case 'prune':
      return store.prune(request.nowMs);
    case 'state':
      return store.state();
    case 'close':
      return store.close();
    default:
      return answerRead(request, store.reads);
  }
}

function answerRead(request: WorkerRequest, reads: StoreReads): unknown {
  switch (request.kind) {
    case 'list':
      return reads.list(request.query, request.page);
    case 'byIds':
      return request.ids.map((id) => reads.byId(id) ?? null);
    case 'tallies':
      return reads.tallies(request.tally, request.sinceMs);
    case 'rollups':
      return reads.rollups(request.query);
    case 'completeness':
      return reads.completeness(request.range);
    case 'newestId':
      return reads.newestId();
    default:
      throw new Error(`\`${request.kind}\` is not for a thread that only reads`);
  }
}
