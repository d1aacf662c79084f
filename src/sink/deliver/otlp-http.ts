import type { SinkHttp } from '#resource';
import { loadOtlp, type Otlp } from '#wire';
import type { Evidence } from '../evidence.ts';
import { encodeOtlp, readPartialSuccess, signalOf } from '../formats/otlp.ts';
import type { Receiver } from '../receiver.ts';
import type { Surroundings } from '../surroundings.ts';
import { createHttpClient } from './http-client.ts';

const PATHS = { logs: '/v1/logs', traces: '/v1/traces', metrics: '/v1/metrics' } as const;

/** Sends OTLP/HTTP with binary protobuf; the endpoint is the base URL, as `OTEL_EXPORTER_OTLP_ENDPOINT`. */
export function createOtlpHttp(receiver: SinkHttp, surroundings: Surroundings): Receiver {
  const client = createHttpClient(receiver, surroundings);
  let loaded: Promise<Otlp> | undefined;
  return {
    async deliver(batch: readonly Evidence[], signal: AbortSignal) {
      loaded ??= loadOtlp();
      const otlp = await loaded;
      const kind = signalOf(batch);
      const body = encodeOtlp(otlp, batch, surroundings);
      const request = { path: PATHS[kind], contentType: 'application/x-protobuf', body };
      const posted = await client.post(request, signal);
      if (posted.outcome.kind !== 'delivered') return posted.outcome;
      return readPartialSuccess(otlp, kind, posted.body);
    },
    close: client.close,
  };
}
