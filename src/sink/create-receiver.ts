import { alertmanagerWebhooks } from '#alert';
import type { SinkFormat, SinkSpec } from '#resource';
import { createFileReceiver, type WriteLine } from './deliver/file.ts';
import { createOtlpGrpc } from './deliver/otlp-grpc.ts';
import { createOtlpHttp } from './deliver/otlp-http.ts';
import { createSyslog } from './deliver/syslog.ts';
import { createWebhook, type WriteBody } from './deliver/webhook.ts';
import { cefLine } from './formats/cef.ts';
import { ecsLine } from './formats/ecs.ts';
import { jsonDelivery, jsonLine } from './formats/json.ts';
import { ocsfLine } from './formats/ocsf.ts';
import { safeJson } from './formats/plain-text.ts';
import type { Receiver } from './receiver.ts';
import type { Surroundings } from './surroundings.ts';

/** How `GET /sinks` names the receivers. */
export function receiverKind(
  spec: SinkSpec,
): 'otlp_http' | 'otlp_grpc' | 'syslog' | 'file' | 'webhook' {
  if (spec.otlpHttp !== undefined) return 'otlp_http';
  if (spec.otlpGrpc !== undefined) return 'otlp_grpc';
  if (spec.syslog !== undefined) return 'syslog';
  return spec.webhook === undefined ? 'file' : 'webhook';
}

/** The receiver that a spec describes. */
export function createReceiver(spec: SinkSpec, surroundings: Surroundings): Receiver {
  const { otlpHttp, otlpGrpc, syslog, file, webhook, format } = spec;
  if (otlpHttp !== undefined) return createOtlpHttp(otlpHttp, surroundings);
  if (otlpGrpc !== undefined) return createOtlpGrpc(otlpGrpc, surroundings);
  const write = lineWriter(format, surroundings);
  if (syslog !== undefined) return createSyslog(syslog, surroundings, write);
  if (file !== undefined) return createFileReceiver(file, surroundings, write);
  if (webhook === undefined) throw new Error('a sink without a receiver');
  const writeBody = format === 'alertmanager' ? alertmanagerBody : bodyOfLines(write);
  return createWebhook(webhook, surroundings, writeBody(surroundings));
}

function lineWriter(format: SinkFormat, author: Surroundings): WriteLine {
  if (format === 'ocsf') return (item) => ocsfLine(item, author);
  if (format === 'ecs') return (item) => ecsLine(item, author);
  return format === 'cef' ? (item) => cefLine(item, author) : jsonLine;
}

function bodyOfLines(write: WriteLine): (surroundings: Surroundings) => WriteBody {
  return ({ sink }) =>
    (batch, id) =>
      jsonDelivery(batch, { id, sink }, write);
}

function alertmanagerBody({ sink, consoleUrl }: Surroundings): WriteBody {
  return (batch) => {
    const alerts = batch.flatMap((item) => (item.kind === 'alerts' ? [item.value] : []));
    // Of an alert that fired and ended in between, how it is now.
    const newest = Map.groupBy(alerts, ({ id }) => id)
      .values()
      .flatMap((of) => of.slice(-1));
    const [message] = alertmanagerWebhooks([...newest], {
      receiver: sink,
      consoleUrl: consoleUrl(),
    });
    return safeJson(message);
  };
}
