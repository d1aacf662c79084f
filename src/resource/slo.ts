import type { Problem } from './diagnostic.ts';
import { duration } from './duration-field.ts';
import { type Metadata, ROOT_NAMESPACE } from './metadata.ts';
import { dnsName } from './names.ts';
import { child, type MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';

/** What share of something has to be good over a window, and whom a budget that burns calls. Palisade's own kind. */
export type SloResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'SLO';
  readonly metadata: Metadata;
  readonly spec: SloSpec;
};

/** Of the root namespace it is about the whole mesh; of another one, about the workloads there. */
export type SloSpec = {
  readonly sli: SloIndicator;
  /** A share in percent, such as `99.9%`. */
  readonly objective: string;
  /** A duration, from a day to 31. */
  readonly window: string;
  /** A duration, for the indicators that are durations. */
  readonly threshold?: string;
  /** One service of the namespace; absent: all. */
  readonly service?: string;
  readonly alert: 'page' | 'ticket' | 'none';
};

/** What can be measured; the alert layer says how. */
export type SloIndicator = (typeof INDICATORS)[number];

const INDICATORS = [
  'authentication_success',
  'handshake_success',
  'decision_latency',
  'policy_propagation',
  'telemetry_completeness',
  'certificate_horizon',
  'denial_rate',
  'control_availability',
  'control_latency',
] as const;

const MEASURED: ReadonlySet<string> = new Set([
  'policy_propagation',
  'certificate_horizon',
  'control_latency',
]);
const OF_THE_MESH: ReadonlySet<string> = new Set(['control_availability', 'control_latency']);
const DAY_MS = 24 * 3_600_000;

const fields = {
  sli: required(oneOf(INDICATORS), `write one of ${INDICATORS.join(', ')}`),
  objective: required(text(checkObjective), 'write a share such as 99.9%'),
  window: defaulted(duration(DAY_MS, 31 * DAY_MS), () => '30d'),
  threshold: optional(duration(1, 7 * DAY_MS)),
  service: optional(dnsName),
  alert: defaulted(oneOf(['page', 'ticket', 'none']), () => 'page' as const),
};

/** Reads the spec of an SLO. */
export const readSloSpec: Reader<SloSpec> = object('an SLO', fields, checkTogether);

function checkObjective(value: string): Problem | undefined {
  const percent = /^(\d{1,2}(?:\.\d{1,4})?)%?$/.exec(value)?.[1];
  if (percent !== undefined && Number(percent) > 0) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is no share between 0% and 100%`,
    help: 'write for example 99.9%; 100% would leave no budget, so that each mistake pages',
  };
}

function checkTogether(
  { sli, threshold, service }: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  if (sli === undefined) return;
  const report = (field: string, problem: Problem): void =>
    context.report.error((child(node, field) ?? node).range, problem);
  if (threshold !== undefined && !MEASURED.has(sli)) {
    report('threshold', {
      code: 'conflicting_fields',
      message: `\`${sli}\` is counted and has no threshold`,
      help: 'remove `threshold`',
    });
  }
  const isRoot = context.namespace === ROOT_NAMESPACE;
  if (service !== undefined && isRoot) {
    report('service', {
      code: 'conflicting_fields',
      message: 'an SLO of the root namespace is about the whole mesh',
      help: 'remove `service`, or write the SLO into the namespace of the service',
    });
  }
  if (OF_THE_MESH.has(sli) && !isRoot) {
    report('sli', {
      code: 'foreign_namespace',
      message: `\`${sli}\` is about the control plane, which is of no namespace`,
      help: `write the SLO into the namespace ${ROOT_NAMESPACE}`,
    });
  }
}
