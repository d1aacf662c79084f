import { Worker } from 'node:worker_threads';
import { messageOf } from './transact.ts';
import { type WorkerAnswer, type WorkerRequest, type WorkerStart } from './worker-messages.ts';

/** Asks the worker; starts one where there is none, as after it failed. */
export type WorkerClient = {
  readonly ask: <T>(request: Question) => Promise<T>;
  /** Lets the worker finish what it was asked, and ends it. */
  readonly close: () => Promise<void>;
};

type WithoutNumber<T> = T extends unknown ? Omit<T, 'number'> : never;
export type Question = WithoutNumber<WorkerRequest>;

type Waiting = {
  readonly resolve: (json: string) => void;
  readonly reject: (error: Error) => void;
};

// What one answer may need, so that a thread that runs wild ends instead of taking the process along.
const LIMITS = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 64 };

/** Starts a worker; `onLost` when one ended by itself. */
export function createWorkerClient(
  start: WorkerStart,
  onLost: (reason: string) => void,
): WorkerClient {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let worker: Worker | undefined;
  let isClosed = false;
  /** A thread that ends because it was told to is not lost, whether its answer or its end is heard of first. */
  let isClosing = false;

  function lose(lost: Worker, reason: string): void {
    if (worker !== lost) return;
    worker = undefined;
    for (const { reject } of waiting.values()) reject(new Error(`the record store: ${reason}`));
    waiting.clear();
    if (!isClosing) onLost(reason);
  }

  function open(): Worker {
    const made = new Worker(new URL('../../bin/record-thread.js', import.meta.url), {
      workerData: start,
      name: start.work === 'read' ? 'palisade-reads' : 'palisade-records',
      resourceLimits: LIMITS,
    });
    made.on('message', (answer: WorkerAnswer) => {
      const one = waiting.get(answer.number);
      waiting.delete(answer.number);
      if (answer.ok) one?.resolve(answer.json);
      else one?.reject(new Error(`the record store: ${answer.message}`));
    });
    made.on('error', (error) => lose(made, messageOf(error)));
    made.on('exit', () => lose(made, 'its thread ended'));
    return made;
  }

  async function ask<T>(question: Question): Promise<T> {
    if (isClosed) throw new Error('the record store is closed');
    worker ??= open();
    const to = worker;
    const number = ++last;
    const json = await new Promise<string>((resolve, reject) => {
      waiting.set(number, { resolve, reject });
      to.postMessage({ ...question, number }, memoryOf(question));
    });
    return JSON.parse(json) as T;
  }

  return {
    ask,
    async close() {
      if (isClosed) return;
      isClosing = true;
      const ending = worker;
      if (ending !== undefined) {
        const ended = new Promise((resolve) => void ending.once('exit', resolve));
        await ask({ kind: 'close' }).catch(() => undefined);
        isClosed = true;
        await ended;
      }
      isClosed = true;
    },
  };
}

function memoryOf(question: Question): ArrayBuffer[] {
  return question.kind === 'add' ? [question.reports.bytes.buffer] : [];
}
