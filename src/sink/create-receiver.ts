import type { SinkSpec } from '#resource';
import { createFileReceiver } from './deliver/file.ts';
import { createOtlpHttp } from './deliver/otlp-http.ts';
import { createWebhook } from './deliver/webhook.ts';
import { jsonDelivery, jsonLine } from './formats/json.ts';
import type { Receiver } from './receiver.ts';
import type { Surroundings } from './surroundings.ts';

/** How `GET /sinks` names the receivers. */
export function receiverKind(spec: SinkSpec): string {
  if (spec.otlpHttp !== undefined) return 'otlp_http';
  return spec.webhook === undefined ? 'file' : 'webhook';
}

/** The receiver that a spec describes. */
export function createReceiver(spec: SinkSpec, surroundings: Surroundings): Receiver {
  const { otlpHttp, file, webhook } = spec;
  if (otlpHttp !== undefined) return createOtlpHttp(otlpHttp, surroundings);
  if (webhook !== undefined) {
    const { sink } = surroundings;
    return createWebhook(webhook, surroundings, (batch, id) => jsonDelivery(batch, { id, sink }));
  }
  if (file !== undefined) return createFileReceiver(file, surroundings.filesFolder, jsonLine);
  throw new Error('a sink without a receiver');
}
