import { duration } from './duration-field.ts';
import { dnsLabel } from './names.ts';
import { defaulted, listOf, object, oneOf, optional, quote, type Reader, text } from './schema.ts';

/** Which evidence a sink gets; a kind that is absent it does not get. */
export type SinkEvidence = {
  readonly records?: SinkRecordFilter;
  readonly audit?: SinkAuditFilter;
  readonly alerts?: { readonly severities?: readonly ('page' | 'ticket')[] };
  /** Spans of calls; a trace is sent where its records were kept. */
  readonly traces?: Pick<SinkRecordFilter, 'namespaces' | 'services'>;
  /** The control plane's own metrics and the traffic it was told of, each `interval` (a duration). */
  readonly metrics?: { readonly interval: string };
};

/** Records that meet every condition; a list that is absent is no condition. */
export type SinkRecordFilter = {
  readonly verdicts?: readonly ('allow' | 'deny')[];
  readonly kinds?: readonly ('http' | 'tcp')[];
  readonly reporters?: readonly ('destination' | 'source')[];
  /** Of the destination. */
  readonly namespaces?: readonly string[];
  /** Of the destination, `NAME` or `NAMESPACE/NAME`. */
  readonly services?: readonly string[];
};

/** Audit events whose action is one of these, or begins with one that ends in `.*`. */
export type SinkAuditFilter = { readonly actions?: readonly string[] };

const MINUTE_MS = 60_000;
const DEFAULT_INTERVAL = '30s';
const FEW = { maxItems: 256 };

const service = text((value) =>
  /^(?:[a-z0-9][-a-z0-9]{0,62}\/)?[a-z0-9][-a-z0-9]{0,62}$/.test(value)
    ? undefined
    : {
        code: 'bad_value',
        message: `${quote(value)} is not a service`,
        help: 'write `NAME` or `NAMESPACE/NAME`',
      },
);

const action = text((value) =>
  /^[a-z_]+(?:\.[a-z_]+)*(?:\.\*)?$/.test(value)
    ? undefined
    : {
        code: 'bad_value',
        message: `${quote(value)} is not an action of the audit log`,
        help: 'write for example `policy.commit` or `identity.*`',
      },
);

const place = {
  namespaces: optional(listOf(dnsLabel, FEW)),
  services: optional(listOf(service, FEW)),
};

/** Reads what a Sink is to get. */
export const readSinkEvidence: Reader<SinkEvidence> = object(
  'evidence',
  {
    records: optional(
      object('records', {
        verdicts: optional(listOf(oneOf(['allow', 'deny']))),
        kinds: optional(listOf(oneOf(['http', 'tcp']))),
        reporters: optional(listOf(oneOf(['destination', 'source']))),
        ...place,
      }),
    ),
    audit: optional(object('audit', { actions: optional(listOf(action, FEW)) })),
    alerts: optional(object('alerts', { severities: optional(listOf(oneOf(['page', 'ticket']))) })),
    traces: optional(object('traces', place)),
    metrics: optional(
      object('metrics', {
        interval: defaulted(duration(1_000, 60 * MINUTE_MS), () => DEFAULT_INTERVAL),
      }),
    ),
  },
  (value, node, context) => {
    if (Object.values(value).some((part) => part !== undefined)) return;
    context.report.error(node.range, {
      code: 'empty_value',
      message: 'a sink that gets no evidence does nothing',
      help: 'name at least one of `records`, `audit`, `alerts`, `traces` and `metrics`, e.g. `records: {}`',
    });
  },
);
