import { isSecretHeader } from '#lib';
import type { Problem } from './diagnostic.ts';
import { duration } from './duration-field.ts';
import type { Metadata } from './metadata.ts';
import { entry, type MapNode } from './node.ts';
import {
  type Context,
  integer,
  listOf,
  type ObjectOf,
  object,
  optional,
  quote,
  type Reader,
  text,
} from './schema.ts';
import { readSelector, type WorkloadSelector } from './selector.ts';

/**
 * What sidecars record, and what they take out of it: for the mesh (root namespace), a namespace, or some
 * workloads. Palisade's own kind.
 */
export type TelemetryPolicyResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'TelemetryPolicy';
  readonly metadata: Metadata;
  readonly spec: TelemetryPolicySpec;
};

/** There is nothing here by which less is redacted than by default: who may write one may only ask for more. */
export type TelemetryPolicySpec = {
  readonly selector?: WorkloadSelector;
  readonly records?: {
    /** Records a second of a sidecar besides those that are always kept. */
    readonly perSecond?: number;
    /** How long after a change of policy the calls that it decides are kept; a duration, `0s` for not at all. */
    readonly rollout?: string;
    /** Names of request headers whose values are recorded. */
    readonly headers?: readonly string[];
  };
  readonly redaction?: {
    /** Paths with names in braces for the segments that are taken out, `/reset/{token}`; `*` is any segment, `**` any rest. */
    readonly paths?: readonly string[];
    /** Kinds, or names of segments, that leave a keyed hash behind for joining. */
    readonly hashed?: readonly string[];
  };
};

const MAX_ROLLOUT_MS = 3_600_000;
const MAX_HEADERS = 8;
const MAX_PATHS = 64;
const HEADER_NAME = /^[A-Za-z0-9-]{1,32}$/;
const SEGMENT_NAME = /^[a-z][a-z0-9_]{0,31}$/;
const LITERAL = /^[\w.~!$&'()+,;=:@%-]{1,128}$/;

const records = object('records', {
  perSecond: optional(integer(1, 100_000)),
  rollout: optional(duration(0, MAX_ROLLOUT_MS)),
  headers: optional(listOf(text(checkHeader), { maxItems: MAX_HEADERS })),
});

const redaction = object('redaction', {
  paths: optional(listOf(text(checkPath), { maxItems: MAX_PATHS })),
  hashed: optional(listOf(text(checkKind), { maxItems: MAX_PATHS })),
});

const fields = {
  selector: optional(readSelector),
  records: optional(records),
  redaction: optional(redaction),
};

/** Reads the spec of a TelemetryPolicy. */
export const readTelemetryPolicySpec: Reader<TelemetryPolicySpec> = object(
  'a TelemetryPolicy',
  fields,
  checkSaysSomething,
);

// SECURITY: what is never to be recorded cannot be asked for either.
function checkHeader(value: string): Problem | undefined {
  if (!HEADER_NAME.test(value)) {
    return {
      code: 'bad_value',
      message: `${quote(value)} is not a header name`,
      help: 'write for example `x-request-id`',
    };
  }
  if (!isSecretHeader(value)) return undefined;
  return {
    code: 'bad_value',
    message: `the header ${quote(value)} holds secrets and is never recorded`,
    help: 'remove it; to tell callers apart, use their identities',
  };
}

function checkPath(value: string): Problem | undefined {
  const segments = value.slice(1).split('/');
  const isWhole = value.startsWith('/') && segments.length <= 32;
  const isKnown = segments.every((segment, i) => {
    if (segment.startsWith('{'))
      return SEGMENT_NAME.test(segment.slice(1, -1)) && segment.endsWith('}');
    if (segment === '**') return i === segments.length - 1;
    return segment === '*' || LITERAL.test(segment);
  });
  const takesOut = segments.some((segment) => segment.startsWith('{'));
  if (isWhole && isKnown && takesOut) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} names no segments to take out`,
    help: 'write the path with a name in braces for what is secret, for example `/reset/{token}`; `*` stands for any segment, a last `**` for any rest',
  };
}

function checkKind(value: string): Problem | undefined {
  if (SEGMENT_NAME.test(value)) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a kind of what is taken out`,
    help: 'write for example `email`, or the name in braces of one of `paths`',
  };
}

function checkSaysSomething(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  if (entry(node, 'records') !== undefined || entry(node, 'redaction') !== undefined) return;
  if (value.records !== undefined || value.redaction !== undefined) return;
  context.report.error(node.range, {
    code: 'missing_field',
    message: 'the policy says nothing',
    help: 'add `records: {perSecond: 100}` or `redaction: {paths: ["/reset/{token}"]}`',
  });
}
