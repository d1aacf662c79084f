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
  /** Called once, after everything else. */
  readonly onCallerGone: () => void;
  /** What the caller said before it was joined. */
  readonly early?: Buffer | undefined;
};

/** Joins a permitted connection with its server, with half-close and back-pressure both ways. */
export function forwardConnection(
  permit: Permit,
  caller: BytePipe,
  server: BytePipe,
  counters: SpliceCounters,
): void {
  if (!permit.granted) return;
  const nothing = (): void => undefined;
  pump(caller, server, counters.onCallerBytes, counters.onCallerGone);
  pump(server, caller, counters.onServerBytes, nothing);
  if (counters.early !== undefined) server.write(counters.early);
  caller.resume();
  server.resume();
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

function pump(
  from: BytePipe,
  to: BytePipe,
  count: (bytes: number) => void,
  onGone: () => void,
): void {
  let ended = false;
  from.attach({
    onData(chunk) {
      count(chunk.length);
      if (!to.writeLent(chunk, 0, chunk.length)) from.pause();
    },
    onEnd() {
      ended = true;
      to.end();
    },
    onDrain: () => to.resume(),
    onClose() {
      // A side that is gone before it said all takes the other one along.
      if (!ended) to.reset();
      onGone();
    },
  });
}
