import { trafficOf } from '#lib';
import { type AuthorizationRule, readRule } from './authorization-policy.ts';
import { duration } from './duration-field.ts';
import { child, items, type MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  integer,
  listOf,
  object,
  type Reader,
  required,
} from './schema.ts';

/**
 * What one caller may spend on a service's requests, and what requests cost. Palisade's own. Each of the
 * service's sidecars keeps its own account of each caller.
 */
export type ServiceCallerBudget = {
  /** What a caller may spend in `per`; it comes back evenly. */
  readonly units: number;
  /** A duration. */
  readonly per: string;
  /** Of a request that no item of `costs` names. */
  readonly defaultCost: number;
  readonly costs: readonly ServiceRequestCost[];
};

/** The first item of which a rule matches says what a request costs. */
export type ServiceRequestCost = {
  readonly cost: number;
  /** The calls, in the form of an AuthorizationPolicy's rules. */
  readonly rules: readonly AuthorizationRule[];
};

const MOST_UNITS = 1_000_000_000;
const DAY_MS = 24 * 60 * 60_000;
const cost = integer(0, MOST_UNITS);

const fields = {
  units: required(
    integer(1, MOST_UNITS),
    'write what a caller may spend, for example `units: 600`',
  ),
  per: defaulted(duration(1_000, DAY_MS), () => '1m'),
  defaultCost: defaulted(cost, () => 1),
  costs: defaulted(
    listOf(
      object('an item of `costs`', {
        cost: required(cost, 'write what such a request costs, for example `cost: 50`'),
        rules: required(listOf(readRule, { maxItems: 256 }), 'write which requests are meant'),
      }),
      { maxItems: 64 },
    ),
    () => [],
  ),
};

/** Reads `callerBudget` of a Service. */
export const readCallerBudget: Reader<ServiceCallerBudget> = object(
  'callerBudget',
  fields,
  checkAffordable,
);

/** A request that costs more than anybody has would never be taken. */
function checkAffordable(
  value: { readonly units?: number },
  node: MapNode,
  context: Context,
): void {
  const priced = [
    child(node, 'defaultCost'),
    ...items(child(node, 'costs')).map((item) => child(item, 'cost')),
  ];
  for (const one of priced) {
    if (one?.kind !== 'scalar' || value.units === undefined) continue;
    if (!(Number(one.value) > value.units)) continue;
    context.report.error(one.range, {
      code: 'never_matches',
      message: `no caller has more than ${value.units} units, so such a request is always refused`,
      help: 'lower the cost, raise `units`, or deny the request by a policy',
    });
  }
}

/** Reports a budget of a service that takes no requests: it would bound nothing. */
export function checkBudgetPorts(
  ports: readonly { readonly protocol?: Parameters<typeof trafficOf>[0] }[],
  node: MapNode,
  context: Context,
): void {
  const budget = child(node, 'callerBudget');
  if (budget === undefined) return;
  if (ports.some(({ protocol }) => protocol !== undefined && trafficOf(protocol) === 'http'))
    return;
  context.report.error(budget.range, {
    code: 'http_field_on_tcp',
    message: '`callerBudget` counts HTTP requests, and no port of the service is HTTP',
    help: 'say `protocol: http` of a port, or bound connections by `limits.maxConnections`',
  });
}
