import { decodeMessage, type Otlp } from '#wire';
import type { Evidence } from '../evidence.ts';
import { type Outcome, quoted } from '../receiver.ts';
import { type OtlpAuthor, otlpLogs } from './otlp-logs.ts';
import { otlpMetrics } from './otlp-metrics.ts';
import { otlpTraces } from './otlp-traces.ts';

/** OTLP's signals, as far as we have them. */
export type OtlpSignal = 'logs' | 'traces' | 'metrics';

/** By which signal a batch travels. */
export function signalOf([first]: readonly Evidence[]): OtlpSignal {
  return first?.kind === 'traces' || first?.kind === 'metrics' ? first.kind : 'logs';
}

/** The export request of a batch, which is of one kind. */
export function encodeOtlp(otlp: Otlp, batch: readonly Evidence[], author: OtlpAuthor): Uint8Array {
  const signal = signalOf(batch);
  if (signal === 'traces') return otlpTraces(otlp, batch, author);
  return signal === 'metrics' ? otlpMetrics(otlp, batch, author) : otlpLogs(otlp, batch, author);
}

/**
 * What a good answer says. OTLP 1.x, "Partial Success": what was rejected is not sent again. A body that is none is no
 * answer of a receiver of OTLP, so whoever said 200 has not taken anything.
 */
export function readPartialSuccess(otlp: Otlp, signal: OtlpSignal, body: Uint8Array): Outcome {
  try {
    const { rejected, message } = partialSuccess(otlp, signal, body);
    if (rejected === 0) return { kind: 'delivered' };
    return { kind: 'delivered', rejected, note: `rejected ${rejected}: ${quoted(message)}` };
  } catch {
    // Not protobuf: a proxy's page, or a receiver of something else.
    return { kind: 'retry', reason: 'the answer is not one of OTLP' };
  }
}

function partialSuccess(
  otlp: Otlp,
  signal: OtlpSignal,
  body: Uint8Array,
): { readonly rejected: number; readonly message: string } {
  if (signal === 'logs') {
    const part = decodeMessage(otlp.ExportLogsServiceResponseSchema, body).partialSuccess;
    return { rejected: Number(part?.rejectedLogRecords ?? 0n), message: part?.errorMessage ?? '' };
  }
  if (signal === 'traces') {
    const part = decodeMessage(otlp.ExportTraceServiceResponseSchema, body).partialSuccess;
    return { rejected: Number(part?.rejectedSpans ?? 0n), message: part?.errorMessage ?? '' };
  }
  const part = decodeMessage(otlp.ExportMetricsServiceResponseSchema, body).partialSuccess;
  return { rejected: Number(part?.rejectedDataPoints ?? 0n), message: part?.errorMessage ?? '' };
}
