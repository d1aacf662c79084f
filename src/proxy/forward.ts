import {
  FIELD,
  fieldSet,
  HOP_AND_SIDECAR,
  type RequestHead,
  serializeRequest,
  upgradeLines,
} from '#protocol';
import { parseTraceparent, type RecordedCall } from '#telemetry';
import type { BodyPart } from './answer.ts';
import type { Permit } from './authorize.ts';
import type { ProxyContext } from './context.ts';
import type { ForwardOptions, HttpCall, RequestFacts } from './http-call.ts';
import type { BytePipe } from './pipe.ts';

const DROPPED = HOP_AND_SIDECAR | fieldSet(FIELD.TRACEPARENT);
const DROPPED_AND_HOST = DROPPED | fieldSet(FIELD.HOST);

/** A request as it is forwarded over HTTP/1.1: one buffer with its head and the first bytes of its body. */
export function serializeForwarded(
  head: RequestHead,
  { chunk, start, end }: BodyPart,
  options: ForwardOptions,
): Buffer {
  const { clientCert, traceparent } = options;
  // INVARIANT: the application gets the host in the form that policy judged.
  const host = options.host ?? (head.isHostVerbatim ? undefined : head.host);
  let added = `traceparent: ${traceparent}\r\n`;
  if (clientCert !== undefined) added = `x-forwarded-client-cert: ${clientCert}\r\n${added}`;
  if (host !== undefined) added = `host: ${host}\r\n${added}`;
  for (const name of options.headers?.remove ?? []) head.fields.leaveOut(name);
  for (const [name, value] of options.headers?.add ?? []) added += `${name}: ${value}\r\n`;
  return serializeRequest(head, {
    dropped: host === undefined ? DROPPED : DROPPED_AND_HOST,
    added: head.upgrade === '' ? added : added + upgradeLines(head.upgrade),
    body: start === end ? undefined : chunk,
    bodyStart: start,
    bodyEnd: end,
  });
}

/** What passes a splice, and what it is told. */
export type SpliceCounters = {
  readonly onCallerBytes: (count: number) => void;
  readonly onServerBytes: (count: number) => void;
  /** The server broke off before it had said all, and its caller had not left. */
  readonly onServerBroke: () => void;
  /** Called once, after everything else. */
  readonly onCallerGone: () => void;
  /** What the caller said before it was joined. */
  readonly early?: Buffer | undefined;
};

/** One end of a splice: it has said all it will say; it is closed, and takes nothing any more. */
type Side = { readonly pipe: BytePipe; ended: boolean; gone: boolean };

/**
 * How long one side may still read, and speak in vain, when the other one said all and then went: what it
 * was sent last may be on its way, and ending it at once could take that back.
 */
const LINGER_MS = 1_000;

/** Joins a permitted connection with its server, with half-close and back-pressure both ways. */
export function forwardConnection(
  permit: Permit,
  callerPipe: BytePipe,
  serverPipe: BytePipe,
  counters: SpliceCounters,
): void {
  if (!permit.granted) return;
  const caller: Side = { pipe: callerPipe, ended: false, gone: false };
  const server: Side = { pipe: serverPipe, ended: false, gone: false };
  pump(caller, server, counters.onCallerBytes, counters.onCallerGone);
  pump(server, caller, counters.onServerBytes, () => {
    if (!server.ended && !caller.gone) counters.onServerBroke();
  });
  if (counters.early !== undefined) serverPipe.write(counters.early);
  callerPipe.resume();
  serverPipe.resume();
}

/**
 * The `traceparent` to send: the caller's trace goes on, or a new one starts (W3C Trace Context
 * section 3). Notes both ids in the call's record, and the headers that are to be in it.
 */
export function continueTrace(context: ProxyContext, call: HttpCall, head: RequestFacts): string {
  const { ids } = context;
  const received = head.fields.valueOf(FIELD.TRACEPARENT);
  const parent = received === undefined ? undefined : parseTraceparent(received);
  const traceId = parent?.traceId ?? ids.traceId();
  const spanId = ids.spanId();
  call.record.traceId = traceId;
  call.record.spanId = spanId;
  call.record.parentSpanId = parent?.parentId ?? null;
  const recorded = context.options.snapshots.current()?.telemetry.headers;
  if (recorded !== undefined && recorded.length > 0) noteHeaders(call.record, head, recorded);
  return `00-${traceId}-${spanId}-${parent?.isSampled === false ? '00' : '01'}`;
}

/** Copies what a TelemetryPolicy asks for: the head's bytes are only lent. */
function noteHeaders(record: RecordedCall, head: RequestFacts, names: readonly string[]): void {
  record.headers = names.flatMap((name) => {
    const value = head.fields.value(name);
    return value === undefined ? [] : [[name, value] as const];
  });
}

function pump(from: Side, to: Side, count: (bytes: number) => void, onGone: () => void): void {
  from.pipe.attach({
    onData(chunk) {
      // Nobody is there to take it, and a pipe that is closed would never ask for more.
      if (to.gone) return;
      count(chunk.length);
      if (!to.pipe.writeLent(chunk, 0, chunk.length)) from.pipe.pause();
    },
    onEnd() {
      from.ended = true;
      to.pipe.end();
    },
    onDrain: () => to.pipe.resume(),
    onClose() {
      from.gone = true;
      // A side that is gone before it said all takes the other one along.
      if (!from.ended) to.pipe.reset();
      else if (!to.ended && !to.gone) linger(to.pipe);
      onGone();
    },
  });
}

// INVARIANT: nobody goes on for ever speaking to a side that is gone, nor waits for it to read: such are
// clients that only write (logs, measurements) and servers that only stream.
function linger(pipe: BytePipe): void {
  pipe.resume();
  setTimeout(() => {
    if (!pipe.closed) pipe.destroy();
  }, LINGER_MS).unref();
}
