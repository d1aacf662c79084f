import type { Needs } from './facts.ts';
import type { Decision, Question } from './question.ts';

/**
 * Decisions on questions that come again and again. A cache belongs to one program and goes with it, so a change of
 * policy leaves nothing behind. Memory is bounded: a fixed number of places, each for texts of bounded length.
 * INVARIANT: a decision is found only for a question that is equal in all that the program reads.
 */
export class DecisionCache {
  readonly #evaluate: (question: Question) => Decision;
  readonly #readsHost: boolean;
  readonly #readsIp: boolean;
  readonly #entries: (Entry | undefined)[] = Array.from({ length: PLACES }, () => undefined);
  /** By place, the hash of a question that came once: what does not come again is not kept. */
  readonly #seen = new Int32Array(PLACES);
  #asked = 0;
  #found = 0;
  #resting = 0;

  /** `needs` are what the program of `evaluate` reads; see `isCacheable`. */
  constructor(needs: Needs, evaluate: (question: Question) => Decision) {
    this.#evaluate = evaluate;
    this.#readsHost = needs.host;
    this.#readsIp = needs.address;
  }

  /** The decision on a question; throws what evaluating throws, and remembers nothing then. */
  decide(question: Question): Decision {
    if (this.#resting > 0) {
      this.#resting--;
      return this.#evaluate(question);
    }
    if (++this.#asked === SAMPLE) this.#judgeItself();
    const hash = hashOf(question);
    const place = hash & (PLACES - 1);
    const entry = this.#entries[place];
    if (entry !== undefined && this.#isSame(entry, question)) {
      this.#found++;
      return entry.decision;
    }
    const decision = this.#evaluate(question);
    if (this.#seen[place] === hash) this.#entries[place] = entryOf(question, decision);
    else this.#seen[place] = hash;
    return decision;
  }

  /** Traffic that seldom repeats itself pays for looking and gains nothing: then no look is taken for a while. */
  #judgeItself(): void {
    if (this.#found < SAMPLE / 2) this.#resting = REST;
    this.#asked = 0;
    this.#found = 0;
  }

  #isSame(entry: Entry, { source, connection, request, destination }: Question): boolean {
    return (
      entry.id === source.id?.text &&
      entry.path === request?.path &&
      entry.method === request?.method &&
      entry.port === destination.port &&
      entry.sni === connection.sni &&
      entry.isForeign === (source.isForeign === true) &&
      entry.attestation === source.attestation &&
      (!this.#readsHost || entry.host === request?.host) &&
      (!this.#readsIp || entry.ip === source.ip)
    );
  }
}

/** Whether decisions depend on nothing but what entries are compared by: neither headers and tokens nor the clock. */
export function isCacheable(needs: Needs): boolean {
  const { headers, claims, time, remoteAddress, destinationAddress } = needs;
  return !(headers || claims || time || remoteAddress || destinationAddress);
}

type Entry = {
  readonly id: string | undefined;
  readonly isForeign: boolean;
  readonly attestation: string | undefined;
  readonly ip: string;
  readonly sni: string | undefined;
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly path: string | undefined;
  readonly port: number;
  readonly decision: Decision;
};

const PLACES = 1_024;
const SAMPLE = 1_024;
const REST = 64 * SAMPLE;
/** Of a path or host that is kept, in characters; with all places taken, a megabyte. */
const LONGEST = 256;

function entryOf({ source, connection, request, destination }: Question, decision: Decision) {
  const { path, host, method } = request ?? {};
  if (isLong(path) || isLong(host) || isLong(connection.sni) || isLong(method)) return undefined;
  const entry: Entry = {
    id: source.id?.text,
    isForeign: source.isForeign === true,
    attestation: source.attestation,
    ip: source.ip,
    sni: copied(connection.sni),
    method: copied(method),
    host: copied(host),
    path: copied(path),
    port: destination.port,
    decision,
  };
  return entry;
}

function isLong(text: string | undefined): boolean {
  return text !== undefined && text.length > LONGEST;
}

/** SECURITY: a text cut out of a request may keep all of the request in memory, 64 KiB for a short path. */
function copied(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (JSON.parse(JSON.stringify(text)) as string);
}

/** Of a few characters of the caller and the path, evenly spread: what is mistaken is only looked at in vain. */
function hashOf({ source, request, destination }: Question): number {
  const id = source.id?.text ?? '';
  const path = request?.path ?? '';
  let hash = mix(id.length ^ (path.length << 8), destination.port);
  for (let i = Math.max(0, id.length - CHARACTERS); i < id.length; i++) {
    hash = mix(hash, id.charCodeAt(i));
  }
  // Names and numbers at the end tell most paths apart.
  const tail = Math.max(0, path.length - TAIL);
  for (let i = tail; i < path.length; i++) hash = mix(hash, path.charCodeAt(i));
  const step = 1 + (tail >>> 3);
  for (let i = tail - 1; i >= 0; i -= step) hash = mix(hash, path.charCodeAt(i));
  const method = request?.method ?? '';
  if (method !== '') hash = mix(hash, method.charCodeAt(0));
  return hash ^ (hash >>> 15);
}

const CHARACTERS = 4;
const TAIL = 10;

function mix(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x9e3779b1);
}
