import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { KeyDevice } from './key-device.ts';

/** The program that speaks to a key service, and how long one answer may take. */
export type CommandOptions = { readonly program: string; readonly timeoutMs?: number };

type Question =
  | { readonly method: 'create' }
  | { readonly method: 'sign'; readonly key: string; readonly digest: string }
  | { readonly method: 'destroy'; readonly key: string };

type Answer = Readonly<Record<string, unknown>> & { readonly id: number };

type Pending = {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
};

const DEFAULT_TIMEOUT_MS = 5_000;
// No answer is longer.
const MAX_LINE = 16 * 1024;

/**
 * A key service behind a program of the operator's: one JSON object a line on its standard input, one on its standard
 * output for each, in any order (docs/reference/authority-keys.md). It is started when first needed and again after it
 * ended; what has to block starts one for that question alone.
 */
export function openCommandDevice(options: CommandOptions): KeyDevice {
  return new CommandDevice(options);
}

class CommandDevice implements KeyDevice {
  readonly kind = 'command';
  readonly #program: string;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcessWithoutNullStreams | undefined;
  #lastId = 0;

  constructor({ program, timeoutMs = DEFAULT_TIMEOUT_MS }: CommandOptions) {
    this.#program = program;
    this.#timeoutMs = timeoutMs;
  }

  create(): { readonly reference: string; readonly publicKeyDer: Uint8Array } {
    const { key, publicKey } = this.#askNow({ method: 'create' });
    if (typeof key !== 'string' || key === '' || key.length > 512) throw this.#bad('`key`');
    if (typeof publicKey !== 'string') throw this.#bad('`publicKey`');
    return { reference: key, publicKeyDer: Buffer.from(publicKey, 'base64') };
  }

  sign(key: string, digest: Uint8Array): Buffer {
    return this.#signature(this.#askNow(signing(key, digest)));
  }

  async signLater(key: string, digest: Uint8Array): Promise<Buffer> {
    return this.#signature(await this.#ask(signing(key, digest)));
  }

  destroy(key: string): void {
    this.#askNow({ method: 'destroy', key });
  }

  close(): void {
    // The end of its input is how it learns that it is not needed any more.
    this.#child?.stdin.end();
    this.#child = undefined;
  }

  #signature({ signature }: Answer): Buffer {
    if (typeof signature !== 'string') throw this.#bad('`signature`');
    return Buffer.from(signature, 'base64');
  }

  #askNow(question: Question): Answer {
    const id = ++this.#lastId;
    const done = spawnSync(this.#program, [], {
      input: `${JSON.stringify({ id, ...question })}\n`,
      encoding: 'utf8',
      timeout: this.#timeoutMs,
      maxBuffer: MAX_LINE,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    if (done.error !== undefined) throw this.#failed(done.error.message);
    const answer = parseAnswer(done.stdout.trim());
    if (answer?.id !== id) throw this.#bad('one line of JSON');
    return this.#checked(answer);
  }

  #ask(question: Question): Promise<Answer> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(this.#failed(`no answer within ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#running().stdin.write(`${JSON.stringify({ id, ...question })}\n`);
    });
  }

  #running(): ChildProcessWithoutNullStreams {
    if (this.#child !== undefined) return this.#child;
    const child = spawn(this.#program, [], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    const end = (why: string) => {
      if (this.#child === child) this.#child = undefined;
      this.#failAll(why);
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => end(`it ended (${signal ?? code})`));
    // Writing to one that is gone fails as well; its exit says so.
    child.stdin.on('error', () => undefined);
    // What it complains of is for whoever runs it by hand: it might quote what it was given.
    child.stderr.resume();
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line));
    // An authority that ends does not wait for it; a question that waits is held by its own timer.
    for (const each of [child, child.stdin, child.stdout, child.stderr]) {
      (each as { unref?: () => void }).unref?.();
    }
    return child;
  }

  #take(line: string): void {
    const answer = line.length > MAX_LINE ? undefined : parseAnswer(line);
    const pending = answer && this.#pending.get(answer.id);
    if (answer === undefined || pending === undefined) return;
    this.#pending.delete(answer.id);
    clearTimeout(pending.timer);
    try {
      pending.resolve(this.#checked(answer));
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  #failAll(why: string): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#failed(why));
    }
    this.#pending.clear();
  }

  #checked(answer: Answer): Answer {
    const { error } = answer;
    if (error === undefined) return answer;
    throw this.#failed(String(error).slice(0, 300));
  }

  #failed(why: string): Error {
    return new Error(`\`${this.#program}\`: ${why}`);
  }

  #bad(what: string): Error {
    return this.#failed(`its answer has no ${what}`);
  }
}

function signing(key: string, digest: Uint8Array): Question {
  return { method: 'sign', key, digest: Buffer.from(digest).toString('base64') };
}

function parseAnswer(line: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isAnswer = typeof value === 'object' && value !== null && 'id' in value;
    return isAnswer && typeof value.id === 'number' ? (value as Answer) : undefined;
  } catch {
    // A line that is none of the answers; whoever waits for one runs out of time.
    return undefined;
  }
}
