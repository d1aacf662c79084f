import { parseSpiffeId } from '#identity';
import {
  PATH_NORMALIZATIONS,
  type PathNormalization,
  PORT_PROTOCOLS,
  type PortProtocol,
} from '#lib';
import { cidrBlock } from './authorization-source.ts';
import { checkBudgetPorts, readCallerBudget, type ServiceCallerBudget } from './caller-budget.ts';
import { duration } from './duration-field.ts';
import type { Metadata } from './metadata.ts';
import { checkLabelKey, dnsLabel, labelValue, splitAccount } from './names.ts';
import { child, items, type MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  integer,
  listOf,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  recordOf,
  required,
  text,
} from './schema.ts';

import { readServiceEndpoints, type ServiceEndpoint } from './service-endpoints.ts';
import {
  readHealthCheck,
  readLimits,
  readLoadBalancing,
  readOutlierDetection,
  readRetries,
  type ServiceHealthCheck,
  type ServiceLimits,
  type ServiceLoadBalancing,
  type ServiceOutlierDetection,
  type ServiceRetries,
} from './service-traffic.ts';

/** A name that workloads are reached by, and who may answer to it. */
export type ServiceResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'Service';
  readonly metadata: Metadata;
  readonly spec: ServiceSpec;
};

/** What a Service declares; where both `identities` and `serviceAccounts` are empty, its own account serves it. */
export type ServiceSpec = {
  readonly ports: readonly ServicePort[];
  /** SPIFFE IDs that may serve the name. */
  readonly identities: readonly string[];
  /** Accounts that may serve the name, each as `NAMESPACE/ACCOUNT` in the mesh's trust domain. */
  readonly serviceAccounts?: readonly string[];
  /** The labels of its workloads; `app` is the service's name. */
  readonly labels: Readonly<Record<string, string>>;
  /** Instances beside those that sidecars announce. */
  readonly endpoints?: readonly ServiceEndpoint[];
  readonly timeouts: ServiceTimeouts;
  readonly retries?: ServiceRetries;
  readonly limits?: ServiceLimits;
  /** What one caller may spend on requests. */
  readonly callerBudget?: ServiceCallerBudget;
  readonly outlierDetection?: ServiceOutlierDetection;
  readonly healthCheck?: ServiceHealthCheck;
  readonly loadBalancing?: ServiceLoadBalancing;
  /** Instead of the Mesh's. */
  readonly pathNormalization?: PathNormalization;
};

/** One port; `targetPort` is the application's where it differs. */
export type ServicePort = {
  readonly name: string;
  readonly port: number;
  readonly protocol: PortProtocol;
  readonly targetPort?: number;
  /** Balancers whose connections to this port must begin with a PROXY protocol header. */
  readonly proxyProtocol?: { readonly from: readonly string[] };
};

/**
 * Durations: to connect, without a byte either way, for a request's header, until a response's header,
 * for a whole call with all its tries, which has no limit where `request` is absent, and without a
 * byte either way of a TCP connection or of one that switched protocols.
 */
export type ServiceTimeouts = {
  readonly connect: string;
  readonly idle: string;
  readonly header: string;
  readonly response: string;
  readonly request?: string;
  readonly session: string;
};

const DEFAULT_TIMEOUTS: ServiceTimeouts = {
  connect: '2s',
  idle: '5m',
  header: '10s',
  response: '60s',
  session: '24h',
};
const DAY_MS = 24 * 60 * 60_000;

const protocol = oneOf(PORT_PROTOCOLS, (word) => {
  const substitute = { https: 'tls', mysql: 'tcp', postgres: 'tcp' }[word];
  if (substitute === undefined) return undefined;
  return {
    code: 'unsupported',
    message: `the protocol \`${word}\` is not supported by this version`,
    help:
      substitute === 'tls'
        ? 'use `tls`: policies then see who connects and by which name, but not the requests within'
        : 'use `tcp`: policies then see who connects, but not the requests within',
  };
});

const port = integer(1, 65535);

const servicePort = object('a port', {
  name: optional(dnsLabel),
  port: required(port, 'write the number callers use, for example `port: 80`'),
  // Nothing is guessed from a port's number or name: where nobody says, bytes are bytes.
  protocol: defaulted(protocol, () => 'tcp' as const),
  targetPort: optional(port),
  proxyProtocol: optional(
    object('proxyProtocol', {
      from: required(
        listOf(cidrBlock, { maxItems: 256 }),
        "write the balancers' addresses, for example `from: [10.0.0.0/8]`",
      ),
    }),
  ),
});

const identity = text((value) => {
  const parsed = parseSpiffeId(value);
  if (parsed.ok) return undefined;
  return {
    code: 'bad_value',
    message: parsed.error,
    help: 'write for example `spiffe://cluster.local/ns/default/sa/web`',
  };
});

const serviceAccount: Reader<string> = (node, context) => {
  const value = text()(node, context);
  if (value === undefined) return undefined;
  const account = splitAccount(value, context.namespace);
  if (account !== undefined) return `${account.namespace}/${account.account}`;
  context.report.error(node.range, {
    code: 'bad_value',
    message: `${quote(value)} is not a service account`,
    help: 'write `NAME` for one of this namespace, or `NAMESPACE/NAME`',
  });
  return undefined;
};

const timeouts = object('timeouts', {
  connect: defaulted(duration(1, DAY_MS), () => DEFAULT_TIMEOUTS.connect),
  idle: defaulted(duration(1, DAY_MS), () => DEFAULT_TIMEOUTS.idle),
  header: defaulted(duration(1, DAY_MS), () => DEFAULT_TIMEOUTS.header),
  response: defaulted(duration(1, DAY_MS), () => DEFAULT_TIMEOUTS.response),
  request: optional(duration(1, DAY_MS)),
  session: defaulted(duration(1, 30 * DAY_MS), () => DEFAULT_TIMEOUTS.session),
});

const labels: Reader<Readonly<Record<string, string>>> = (node, context) => {
  const own = recordOf(checkLabelKey, labelValue)(node, context);
  const app = child(node, 'app');
  if (app?.kind === 'scalar' && app.value !== context.name && context.name !== '') {
    context.report.error(app.range, {
      code: 'bad_value',
      message: `the label \`app\` of this service is always ${quote(context.name)}`,
      help: 'remove it, or use another label',
    });
  }
  return { ...own, app: context.name };
};

const fields = {
  ports: required(
    listOf(servicePort, { maxItems: 64 }),
    'write for example `ports: [{port: 80, protocol: http}]`',
  ),
  identities: defaulted(listOf(identity, { maxItems: 256, mayBeEmpty: true }), () => []),
  serviceAccounts: optional(listOf(serviceAccount, { maxItems: 256 })),
  labels: defaulted(labels, (context: Context) => ({ app: context.name })),
  endpoints: optional(readServiceEndpoints),
  timeouts: defaulted(timeouts, () => DEFAULT_TIMEOUTS),
  retries: optional(readRetries),
  limits: optional(readLimits),
  callerBudget: optional(readCallerBudget),
  outlierDetection: optional(readOutlierDetection),
  healthCheck: optional(readHealthCheck),
  loadBalancing: optional(readLoadBalancing),
  pathNormalization: optional(oneOf(PATH_NORMALIZATIONS)),
};

const readFields = object('a Service', fields, checkPorts);

/** Reads the spec of a Service; a single port may go without a name and then has its protocol's. */
export const readServiceSpec: Reader<ServiceSpec> = (node, context) => {
  const spec = readFields(node, context);
  if (spec?.ports === undefined) return undefined;
  return {
    ...spec,
    ports: spec.ports.map((port) => ({ ...port, name: port.name ?? port.protocol })),
  };
};

function checkPorts(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  checkBudgetPorts(value.ports ?? [], node, context);
  const ports = items(child(node, 'ports'));
  const names = new Set<unknown>();
  const numbers = new Set<unknown>();
  for (const port of ports) {
    const name = child(port, 'name');
    if (name === undefined && ports.length > 1 && port.kind === 'map') {
      context.report.error(port.entries[0]?.keyRange ?? port.range, {
        code: 'missing_field',
        message: 'a port lacks the field `name`',
        help: 'with several ports, each needs a name of its own',
      });
    }
    reportRepeated(name, names, context);
    reportRepeated(child(port, 'port'), numbers, context);
  }
}

function reportRepeated(
  node: ReturnType<typeof child>,
  seen: Set<unknown>,
  context: Context,
): void {
  if (node?.kind !== 'scalar') return;
  if (seen.has(node.value)) {
    context.report.error(node.range, {
      code: 'duplicate_value',
      message: `another port of this service has ${quote(node.source)} already`,
      help: 'give each port a name and a number of its own',
    });
  }
  seen.add(node.value);
}
