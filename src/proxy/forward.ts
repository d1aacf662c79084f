import type { Socket } from 'node:net';
import { FIELD, fieldSet, HOP_AND_SIDECAR, type RequestHead, serializeRequest } from '#protocol';
import { parseTraceparent } from '#telemetry';
import type { Permit } from './authorize.ts';
import type { Connector } from './connector.ts';
import type { ProxyContext } from './context.ts';
import type { HttpConnection } from './http-connection.ts';

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
    added: options.added,
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
};

/** Joins a permitted connection with its server, with half-close and back-pressure both ways. */
export function forwardConnection(
  permit: Permit,
  caller: Socket,
  server: Socket,
  counters: SpliceCounters,
): void {
  if (!permit.granted) return;
  pump(caller, server, counters.onCallerBytes);
  pump(server, caller, counters.onServerBytes);
  caller.resume();
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

function pump(from: Socket, to: Socket, count: (bytes: number) => void): void {
  from.on('data', (chunk: Buffer) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
  // A side that is gone before it said all takes the other one along.
  from.on('close', () => (from.readableEnded ? to.end() : to.destroy()));
}
