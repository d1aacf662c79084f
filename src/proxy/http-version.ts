import type { PortProtocol } from '#lib';
import { H2_PREFACE } from '#protocol';
import { ALPN_H2, ALPN_HTTP1 } from './authenticate.ts';
import type { ProxyContext } from './context.ts';
import { H2Caller } from './h2-caller.ts';
import type { HttpDirection } from './http-call.ts';
import { HttpConnection } from './http-connection.ts';
import type { Live } from './live.ts';
import type { BytePipe } from './pipe.ts';
import type { CallFacts } from './record.ts';

/** A connection whose requests a direction serves. */
export type HttpArrival = {
  readonly pipe: BytePipe;
  readonly context: ProxyContext;
  readonly direction: HttpDirection;
  /** Records' constant part. */
  readonly facts: CallFacts;
  /** What was agreed on in the TLS handshake; undefined if nothing was. */
  readonly alpn: string | undefined;
  /** What the port's application speaks; what is neither version is answered in that one. */
  readonly protocol: PortProtocol;
};

/** So much of the preface tells HTTP/2 from any method of HTTP/1.1: `PRI * HTTP/2`. */
const TELLING_BYTES = 12;
/** A first line that is longer than this is none of HTTP/1.1. */
const MAX_LINE_BYTES = 20 * 1024;

/**
 * Serves a connection in the version of HTTP that its caller speaks: as agreed on by ALPN, else as
 * its first bytes say, which in HTTP/2 are the preface of prior knowledge (RFC 9113 section 3.3).
 */
export function serveHttp(arrival: HttpArrival): void {
  const { pipe, context, direction, facts, alpn } = arrival;
  if (alpn === ALPN_H2) new H2Caller(pipe, context, direction, facts).start();
  else if (alpn === ALPN_HTTP1) new HttpConnection(pipe, context, direction, facts).start();
  else new VersionDetector(arrival).start();
}

/** A connection that has not said which version it speaks. */
class VersionDetector implements Live {
  deadlineAt: number;
  cutAt = 0;
  readonly manner = 'stream';
  readonly #arrival: HttpArrival;
  #seen: Buffer = Buffer.alloc(0);

  constructor(arrival: HttpArrival) {
    this.#arrival = arrival;
    const { context } = arrival;
    this.deadlineAt = context.live.now + context.timeouts().idleMs;
  }

  start(): void {
    const { pipe, context } = this.#arrival;
    context.live.add(this);
    pipe.attach({
      onData: (chunk) => this.#onData(chunk),
      onEnd: () => pipe.end(),
      onDrain: () => undefined,
      onClose: () => context.live.remove(this),
    });
    pipe.resume();
  }

  expire(): void {
    this.destroy();
  }

  judge(): undefined {
    // It is judged when it has said something.
  }

  cut(): void {
    this.destroy();
  }

  drain(): void {
    // A stream of a tunnel is opened for a request, which may be on its way; its other end closes what idles.
    if (!this.#arrival.pipe.drainsByPeer) this.destroy();
  }

  destroy(): void {
    this.#arrival.pipe.destroy();
  }

  #onData(chunk: Buffer): void {
    const seen = this.#seen.length === 0 ? chunk : Buffer.concat([this.#seen, chunk]);
    const count = Math.min(seen.length, TELLING_BYTES);
    const isPreface = H2_PREFACE.compare(seen, 0, count, 0, count) === 0;
    const { pipe, context, direction, facts } = this.#arrival;
    const isHttp2 =
      isPreface && count < TELLING_BYTES ? undefined : isPreface || this.#isOther(seen);
    if (isHttp2 === undefined) {
      this.#seen = Buffer.from(seen);
      this.deadlineAt = context.live.now + context.timeouts().headerMs;
      return;
    }
    context.live.remove(this);
    if (isHttp2) new H2Caller(pipe, context, direction, facts).start(seen);
    else new HttpConnection(pipe, context, direction, facts).start(seen);
  }

  // At a port of HTTP/2, only what is a request line of HTTP/1.1 is that. Undefined: nobody can say yet.
  #isOther(seen: Buffer): boolean | undefined {
    const { protocol } = this.#arrival;
    if (protocol !== 'http2' && protocol !== 'grpc') return false;
    const end = seen.indexOf(LF);
    if (end < 0) return seen.length > MAX_LINE_BYTES ? true : undefined;
    return !/ HTTP\/1\.[01]\r?$/.test(seen.toString('latin1', 0, end));
  }
}

const LF = 0x0a;
