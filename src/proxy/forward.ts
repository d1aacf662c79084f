import {
  FIELD,
  fieldSet,
  HOP_AND_SIDECAR,
  type RequestHead,
  serializeRequest,
  upgradeLines,
} from '#protocol';
import { parseTraceparent } from '#telemetry';
import type { Permit } from './authorize.ts';
import type { Connector } from './connector.ts';
import type { ProxyContext } from './context.ts';
import type { HttpConnection } from './http-connection.ts';
import type { BytePipe } from './pipe.ts';

/** What the forwarded head says besides what the caller said. */
export type ForwardOptions = {
  readonly connector: Connector;
  /** Whole field lines to add. */
  readonly added: string;
  /** Field codes to leave out besides those of this hop. */
  readonly dropped: number;
};

const DROPPED = HOP_AND_SIDECAR | fieldSet(FIELD.TRACEPARENT);

/** Sends a permitted request on its way: one buffer with its head and the first bytes of its body. */
export function forwardRequest(
  permit: Permit,
  call: HttpConnection,
  head: RequestHead,
  options: ForwardOptions,
): void {
  if (!permit.granted) return;
  const { chunk, start, end } = call.firstPart;
  const message = serializeRequest(head, {
    dropped: DROPPED | options.dropped,
    added: head.upgrade === '' ? options.added : options.added + upgradeLines(head.upgrade),
    body: start === end ? undefined : chunk,
    bodyStart: start,
    bodyEnd: end,
  });
  call.dispatch(message, options.connector);
}

/** Counts what passes a splice. */
export type SpliceCounters = {
  readonly onCallerBytes: (count: number) => void;
  readonly onServerBytes: (count: number) => void;
  /** Called once, after everything else. */
  readonly onCallerGone: () => void;
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
  caller.resume();
  server.resume();
}

/**
 * The `traceparent` line to send: the caller's trace goes on, or a new one starts (W3C Trace Context
 * section 3). Notes both ids in the call's record.
 */
export function continueTrace(
  context: ProxyContext,
  call: HttpConnection,
  head: RequestHead,
): string {
  const { ids } = context;
  const received = head.fields.valueOf(FIELD.TRACEPARENT);
  const parent = received === undefined ? undefined : parseTraceparent(received);
  const traceId = parent?.traceId ?? ids.traceId();
  const spanId = ids.spanId();
  call.record.traceId = traceId;
  call.record.spanId = spanId;
  return `traceparent: 00-${traceId}-${spanId}-${parent?.isSampled === false ? '00' : '01'}\r\n`;
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
      if (!ended) to.destroy();
      onGone();
    },
  });
}
