import { duration } from './duration-field.ts';
import type { Metadata } from './metadata.ts';
import { entry, type MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  flag,
  integer,
  type ObjectOf,
  object,
  oneOf,
  optional,
  type Reader,
  required,
} from './schema.ts';
import { readSinkEvidence, type SinkEvidence } from './sink-evidence.ts';
import {
  readAllowedAddresses,
  readSinkFile,
  readSinkHttp,
  readSinkSyslog,
  readSinkTls,
  readSinkWebhook,
  type SinkFile,
  type SinkHttp,
  type SinkSyslog,
  type SinkTls,
  type SinkWebhook,
} from './sink-receiver.ts';

/** Whom the control plane sends evidence to; in the root namespace only. */
export type SinkResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'Sink';
  readonly metadata: Metadata;
  readonly spec: SinkSpec;
};

/** How evidence is written down. */
export type SinkFormat = 'otlp' | 'ocsf' | 'cef' | 'ecs' | 'json' | 'alertmanager';

/** What is sent, in which form, and to exactly one receiver. */
export type SinkSpec = {
  readonly evidence: SinkEvidence;
  readonly format: SinkFormat;
  readonly otlpHttp?: SinkHttp;
  readonly otlpGrpc?: SinkHttp;
  readonly syslog?: SinkSyslog;
  readonly file?: SinkFile;
  readonly webhook?: SinkWebhook;
  readonly tls?: SinkTls;
  readonly limits: SinkLimits;
  /** CIDR blocks that a sink may lead to although they are refused otherwise. */
  readonly allowAddresses?: readonly string[];
  /** Nothing is sent, and what comes waits. */
  readonly paused: boolean;
};

/** Bounds of one sink; times are durations. */
export type SinkLimits = {
  /** On disk, for each kind of evidence; the oldest goes first. */
  readonly maxQueueBytes: number;
  readonly maxAge: string;
  readonly maxBatch: number;
  /** Of one try. */
  readonly timeout: string;
};

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const DEFAULT_LIMITS: SinkLimits = {
  maxQueueBytes: 512 * MIB,
  maxAge: '72h',
  maxBatch: 500,
  timeout: '10s',
};

const limits: Reader<SinkLimits> = object('limits', {
  maxQueueBytes: defaulted(integer(MIB, 1024 * 1024 * MIB), () => DEFAULT_LIMITS.maxQueueBytes),
  maxAge: defaulted(duration(60_000, 90 * 24 * HOUR_MS), () => DEFAULT_LIMITS.maxAge),
  maxBatch: defaulted(integer(1, 10_000), () => DEFAULT_LIMITS.maxBatch),
  timeout: defaulted(duration(100, 120_000), () => DEFAULT_LIMITS.timeout),
});

const RECEIVERS = ['otlpHttp', 'otlpGrpc', 'syslog', 'file', 'webhook'] as const;
type Receiver = (typeof RECEIVERS)[number];

// The first of each is the one of a sink that names none.
const FORMATS: Readonly<Record<Receiver, readonly [SinkFormat, ...SinkFormat[]]>> = {
  otlpHttp: ['otlp'],
  otlpGrpc: ['otlp'],
  syslog: ['cef', 'ocsf', 'ecs', 'json'],
  file: ['json', 'ocsf', 'ecs', 'cef'],
  webhook: ['json', 'ocsf', 'ecs', 'alertmanager'],
};

// What each format has words for.
const CARRIES: Readonly<Record<SinkFormat, readonly (keyof SinkEvidence)[]>> = {
  otlp: ['records', 'audit', 'alerts', 'traces', 'metrics'],
  json: ['records', 'audit', 'alerts', 'traces', 'metrics'],
  ocsf: ['records', 'audit', 'alerts'],
  ecs: ['records', 'audit', 'alerts'],
  cef: ['records', 'audit', 'alerts'],
  alertmanager: ['alerts'],
};

const fields = {
  evidence: required(readSinkEvidence, 'name what it gets, e.g. `evidence: {records: {}}`'),
  format: optional(oneOf(['otlp', 'ocsf', 'cef', 'ecs', 'json', 'alertmanager'])),
  otlpHttp: optional(readSinkHttp),
  otlpGrpc: optional(readSinkHttp),
  syslog: optional(readSinkSyslog),
  file: optional(readSinkFile),
  webhook: optional(readSinkWebhook),
  tls: optional(readSinkTls),
  limits: defaulted(limits, () => DEFAULT_LIMITS),
  allowAddresses: optional(readAllowedAddresses),
  paused: defaulted(flag, () => false),
};

const readFields = object('a Sink', fields, checkTogether);

/** Reads the spec of a Sink. */
export const readSinkSpec: Reader<SinkSpec> = (node, context) => {
  const value = readFields(node, context);
  if (value === undefined) return undefined;
  const receiver = RECEIVERS.find((name) => value[name] !== undefined) ?? 'file';
  return { ...value, format: value.format ?? FORMATS[receiver][0] };
};

function checkTogether(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  const receivers = RECEIVERS.filter((name) => entry(node, name) !== undefined);
  const [receiver] = receivers;
  if (receiver === undefined || receivers.length > 1) {
    context.report.error(node.range, {
      code: receiver === undefined ? 'missing_field' : 'conflicting_fields',
      message: 'a sink has one receiver',
      help: `write exactly one of ${RECEIVERS.map((name) => `\`${name}\``).join(', ')}`,
    });
    return;
  }
  const format = value.format ?? FORMATS[receiver][0];
  const at = entry(node, 'format')?.value.range ?? entry(node, 'evidence')?.keyRange ?? node.range;
  if (!FORMATS[receiver].includes(format)) {
    context.report.error(at, {
      code: 'conflicting_fields',
      message: `\`${receiver}\` does not take \`${format}\``,
      help: `write one of ${FORMATS[receiver].map((name) => `\`${name}\``).join(', ')}`,
    });
    return;
  }
  for (const kind of Object.keys(value.evidence ?? {}) as (keyof SinkEvidence)[]) {
    if (value.evidence?.[kind] === undefined || CARRIES[format].includes(kind)) continue;
    context.report.error(at, {
      code: 'conflicting_fields',
      message: `\`${format}\` has no words for ${kind}`,
      help: `send ${kind} by another sink, as \`otlp\` or \`json\``,
    });
  }
  checkTls(value, receiver, { node, context });
}

function checkTls(
  value: Partial<ObjectOf<typeof fields>>,
  receiver: Receiver,
  { node, context }: { readonly node: MapNode; readonly context: Context },
): void {
  if (value.tls === undefined) return;
  const endpoint = receiver === 'file' ? undefined : value[receiver]?.endpoint;
  if (endpoint === undefined || /^(https|tls):/.test(endpoint)) {
    if (receiver !== 'file') return;
  }
  context.report.error(entry(node, 'tls')?.keyRange ?? node.range, {
    code: 'conflicting_fields',
    message: '`tls` says how a TLS server is known, and this receiver is none',
    help: 'write an endpoint with `https://` or `tls://`, or remove `tls`',
  });
}
