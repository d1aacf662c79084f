import type { SpiffeId, TrustDomain } from '#identity';
import { fail, ok, type Result, trafficOf } from '#lib';
import {
  type ConditionIr,
  compileProgram,
  type Decision,
  decide,
  fieldWords,
  type PolicyIr,
  type Question,
} from '#policy';
import { ROOT_NAMESPACE, type ServicePort, type ServiceResource } from '#resource';
import type { PeerMode } from '#snapshot';
import { policiesFor } from './authorization-policy.ts';
import {
  type CallClasses,
  callerClasses,
  conditionsOf,
  isVaried,
  textClasses,
} from './call-classes.ts';
import { type CallVariants, callVariants } from './call-variants.ts';
import { type ResourceSets, resourcesOf } from './input.ts';
import { resolvePeerMode } from './peer-authentication.ts';
import { parseCaller } from './policy-test.ts';
import { type SelectedWorkload, workloadLabels } from './selection.ts';

/** Policy before and after a change. */
export type CallDiffInput = {
  readonly before: ResourceSets;
  readonly after: ResourceSets;
  readonly trustDomain: TrustDomain;
  /** For rules that depend on the time. */
  readonly nowMs: number;
};

/** Calls to one service whose verdict changes alike; each list is of classes of values, in words. */
export type ChangedCalls = {
  readonly service: string;
  readonly callers: readonly string[];
  /** None for TCP connections. */
  readonly methods: readonly string[];
  readonly paths: readonly string[];
  readonly hosts: readonly string[];
  /** Headers and tokens of the requests, where rules read them; an empty text is neither. */
  readonly with: readonly string[];
  readonly ports: readonly number[];
  readonly before: Verdict;
  readonly after: Verdict;
};

/** A verdict with what determined it. */
export type Verdict = Pick<Decision, 'verdict' | 'reason' | 'policy'>;

/** What became of one service: its changes, and why there may be others, in words; none if there are not. */
export type ServiceCallDiff = {
  readonly service: string;
  readonly changes: readonly ChangedCalls[];
  readonly unproven: readonly string[];
};

/**
 * Which calls change their verdict, found by asking both policies about one value of every class of
 * values that their rules tell apart. Services whose policies stay the same are left out; errors name
 * policies that do not compile.
 */
export function diffCalls(input: CallDiffInput): Result<readonly ServiceCallDiff[], string> {
  const diffs: ServiceCallDiff[] = [];
  for (const workload of workloadsOf(input)) {
    const [before, after] = [
      sideOf(input.before, workload, input),
      sideOf(input.after, workload, input),
    ];
    if (!before.ok) return before;
    if (!after.ok) return after;
    if (before.value.fingerprint === after.value.fingerprint) continue;
    diffs.push(diffService(workload, before.value, after.value, input));
  }
  return ok(diffs);
}

/** One call as one side judges it. */
export type SideJudge = (question: Question) => Verdict;

/** How the called workload's proxy would judge under `sets`. */
export function judgeOf(
  sets: ResourceSets,
  workload: { readonly namespace: string; readonly service: string },
  trustDomain: TrustDomain,
): Result<SideJudge, string> {
  const side = sideOf(sets, workload, { trustDomain });
  return side.ok ? ok(side.value.judge) : side;
}

type Named = { readonly namespace: string; readonly service: string };

type Side = {
  readonly policies: readonly PolicyIr[];
  readonly service: ServiceResource | undefined;
  readonly judge: SideJudge;
  /** Equal texts judge every call alike. */
  readonly fingerprint: string;
};

function sideOf(
  sets: ResourceSets,
  { namespace, service: name }: Named,
  { trustDomain }: { readonly trustDomain: TrustDomain },
): Result<Side, string> {
  const service = serviceIn(sets, namespace, name);
  const labels = workloadLabels(name, service?.spec.labels);
  const workload: SelectedWorkload = { namespace, service: name, labels };
  const compiled = policiesFor(sets, workload, trustDomain);
  if (!compiled.ok) return fail(compiled.error.join('; '));
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  const options = { defaultAction: mesh?.spec.defaultAction ?? 'deny' } as const;
  const program = compileProgram(compiled.value, options);
  const knownModes = new Map<number, PeerMode>();
  const modeAt = (port: number): PeerMode => {
    const mode = knownModes.get(port) ?? resolvePeerMode(sets, workload, port).mode;
    knownModes.set(port, mode);
    return mode;
  };
  const judge: SideJudge = (question) => {
    const mode = modeAt(question.destination.port);
    const anonymous = mode === 'DISABLE' || question.source.id === undefined;
    if (anonymous && mode === 'STRICT') return UNAUTHENTICATED;
    const source = { ...question.source, id: anonymous ? undefined : question.source.id };
    const { verdict, reason, policy } = decide(program, { ...question, source });
    return { verdict, reason, policy };
  };
  const ports = portsOf(service);
  const modes = ports.map(({ port }) => modeAt(port));
  const fingerprint = JSON.stringify([compiled.value, options, ports, modes]);
  return ok({ policies: compiled.value, service, judge, fingerprint });
}

const UNAUTHENTICATED: Verdict = {
  verdict: 'deny',
  reason: 'peer_unauthenticated',
  policy: undefined,
};

function serviceIn(sets: ResourceSets, namespace: string, name: string) {
  return resourcesOf(sets, namespace, 'Service').find((found) => found.metadata.name === name);
}

/** Without a Service nobody knows the port; HTTP on 80 is what most are. */
function portsOf(
  service: ServiceResource | undefined,
): readonly Pick<ServicePort, 'port' | 'protocol'>[] {
  return service?.spec.ports ?? [{ port: 80, protocol: 'http' as const }];
}

/** All Services of both sides, and what policies select by `app` or target without one being there. */
function workloadsOf({ before, after }: CallDiffInput): readonly Named[] {
  const found = new Map<string, Named>();
  const add = (namespace: string, service: string): void => {
    found.set(`${namespace}/${service}`, { namespace, service });
  };
  for (const sets of [before, after]) {
    for (const [namespace, { resources }] of sets) {
      for (const resource of resources) {
        if (resource.kind === 'Service') add(namespace, resource.metadata.name);
        if (resource.kind !== 'AuthorizationPolicy' || namespace === ROOT_NAMESPACE) continue;
        const app = resource.spec.selector?.matchLabels['app'];
        if (app !== undefined) add(namespace, app);
        for (const target of resource.spec.targetRefs ?? []) add(namespace, target.name);
      }
    }
  }
  return [...found.keys()].sort().flatMap((key) => found.get(key) ?? []);
}

// Beyond this the rules tell apart more combinations than can be asked about one by one.
const MAX_QUESTIONS = 200_000;

function diffService(
  workload: Named,
  before: Side,
  after: Side,
  input: CallDiffInput,
): ServiceCallDiff {
  const policies = [...before.policies, ...after.policies];
  const conditions = conditionsOf(policies);
  const callers = callerClasses(conditions, { trustDomain: input.trustDomain, ids: idsOf(input) });
  const paths = textClasses('path', conditions);
  const variants = callVariants(conditions);
  const ports = [...portsOf(before.service), ...portsOf(after.service)];
  const cells: Cell[] = [];
  let asked = 0;
  for (const { question, ...call } of questionsOf(conditions, {
    callers,
    paths,
    variants,
    ports,
    nowMs: input.nowMs,
  })) {
    if (++asked > MAX_QUESTIONS) break;
    const [was, is] = [before.judge(question), after.judge(question)];
    if (was.verdict !== is.verdict) cells.push({ ...call, before: was, after: is });
  }
  const service = `${workload.namespace}/${workload.service}`;
  const unproven = [
    ...(callers.complete ? [] : ['a wildcard in the middle of an identity']),
    ...(paths.complete ? [] : ['path templates']),
    ...(policies.some(({ action }) => action === 'CUSTOM') ? ['what providers answer'] : []),
    ...variants.open,
    ...[...new Set(conditions.map(({ field }) => field))]
      .filter((field) => !isVaried(field))
      .map((field) => `rules that read the ${fieldWords(field)}`),
    ...(asked > MAX_QUESTIONS ? ['more combinations than can be asked'] : []),
  ];
  return { service, changes: merged(service, cells), unproven };
}

type Asked = Omit<Cell, 'before' | 'after'> & { readonly question: Question };

/** A question for every combination of classes, with the words for it. */
function* questionsOf(
  conditions: readonly ConditionIr[],
  options: {
    readonly callers: CallClasses<SpiffeId | undefined>;
    readonly paths: CallClasses<string>;
    readonly variants: CallVariants;
    readonly ports: ReturnType<typeof portsOf>;
    readonly nowMs: number;
  },
): Generator<Asked> {
  const methods = textClasses('method', conditions);
  const hosts = textClasses('host', conditions);
  const requests = methods.classes.flatMap((method) =>
    options.paths.classes.flatMap((path) => hosts.classes.map((host) => ({ method, path, host }))),
  );
  const traffic = new Map(options.ports.map(({ port, protocol }) => [port, trafficOf(protocol)]));
  for (const [port, kind] of traffic) {
    for (const caller of options.callers.classes) {
      const question = questionFrom(caller.value, port, options.nowMs);
      const call = { caller: caller.label, port };
      if (kind === 'tcp') yield { ...call, ...NO_REQUEST, question };
      if (kind === 'tcp') continue;
      for (const { method, path, host } of requests) {
        for (const { label, headers, claims } of options.variants.variants) {
          const request = {
            method: method.value,
            path: path.value,
            host: host.value,
            headers,
            claims,
          };
          const labels = { method: method.label, path: path.label, host: host.label, with: label };
          yield { ...call, ...labels, question: { ...question, request } };
        }
      }
    }
  }
}

function questionFrom(id: SpiffeId | undefined, port: number, nowMs: number): Question {
  return {
    source: { id, ip: '127.0.0.1', remoteIp: '127.0.0.1' },
    connection: { tls: id !== undefined, sni: undefined },
    request: undefined,
    destination: { port, ip: '127.0.0.1' },
    nowMs,
  };
}

/** Who exists: what Registrations give and Services are served by. */
function idsOf({ before, after, trustDomain }: CallDiffInput): readonly SpiffeId[] {
  const names = [before, after].flatMap((sets) =>
    [...sets].flatMap(([namespace, { resources }]) =>
      resources.flatMap(({ kind, metadata }) =>
        kind === 'Service' ? [`${namespace}/${metadata.name}`] : [],
      ),
    ),
  );
  return [...new Set(names)].flatMap((name) => {
    const caller = parseCaller(name, '', trustDomain);
    return caller.ok && caller.value !== undefined ? [caller.value] : [];
  });
}

type Cell = {
  readonly caller: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Headers and token. */
  readonly with: string;
  readonly before: Verdict;
  readonly after: Verdict;
};

const NO_REQUEST = { method: '', path: '', host: '', with: '' } as const;

type Wide = {
  readonly key: string;
  readonly lists: Record<Dimension, readonly string[]>;
  readonly cell: Cell;
};
type Dimension = 'caller' | 'port' | 'method' | 'path' | 'host' | 'with';
const DIMENSIONS: readonly Dimension[] = ['host', 'path', 'method', 'with', 'port', 'caller'];

/** Cells that differ in one attribute only become one, attribute by attribute. */
function merged(service: string, cells: readonly Cell[]): readonly ChangedCalls[] {
  let wide: readonly Wide[] = cells.map((cell) => ({
    key: JSON.stringify([cell.before, cell.after]),
    lists: {
      caller: [cell.caller],
      port: [String(cell.port)],
      method: [cell.method],
      path: [cell.path],
      host: [cell.host],
      with: [cell.with],
    },
    cell,
  }));
  for (const dimension of DIMENSIONS) {
    const groups = Map.groupBy(wide, ({ key, lists }) =>
      JSON.stringify([key, DIMENSIONS.map((each) => (each === dimension ? '' : lists[each]))]),
    );
    wide = Array.from(groups.values(), (alike) => {
      const first = alike[0] as Wide;
      const values = [...new Set(alike.flatMap(({ lists }) => lists[dimension]))];
      return { ...first, lists: { ...first.lists, [dimension]: values } };
    });
  }
  return wide.map(({ lists, cell }) => ({
    service,
    callers: lists.caller,
    methods: lists.method.filter((value) => value !== ''),
    paths: lists.path.filter((value) => value !== ''),
    hosts: lists.host.filter((value) => value !== ''),
    with: lists.with,
    ports: lists.port.map(Number),
    before: cell.before,
    after: cell.after,
  }));
}
