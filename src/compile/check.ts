import type { SpiffeId, TrustDomain } from '#identity';
import { fail, ok, originalAddress, type PathNormalization, type Result, trafficOf } from '#lib';
import {
  type Claims,
  type Decision,
  type Explanation,
  explain,
  headerText,
  normalizeClaims,
  type Question,
  type RequestHeaders,
} from '#policy';
import { type MeshResource, ROOT_NAMESPACE, type ServiceResource } from '#resource';
import { policiesFor } from './authorization-policy.ts';
import { canonicalHost, canonicalTarget } from './canonical-request.ts';
import { checkToken, withMissingToken } from './check-token.ts';
import { type ResourceSets, resourcesOf } from './input.ts';
import { type ResolvedPeerMode, resolvePeerMode } from './peer-authentication.ts';
import { type SelectedWorkload, workloadLabels } from './selection.ts';
import { parseServiceName, type ServiceName } from './service-name.ts';

/** A question as people ask it: may this caller make this call? */
export type CheckInput = {
  readonly sets: ResourceSets;
  readonly trustDomain: TrustDomain;
  /** Undefined: a caller without identity. */
  readonly from: SpiffeId | undefined;
  /** `NAME`, `NAMESPACE/NAME` or a host name of the service, with or without `:port`. */
  readonly to: string;
  /** The namespace of a `to` that names none. */
  readonly namespace: string;
  /**
   * Undefined asks for `GET /` where the service's port is known to be HTTP, else for a TCP
   * connection. On a port known to be TCP it is left aside. `host` defaults to `to`.
   */
  readonly request: CheckedRequest | undefined;
  /** The Service port; default the one in `to`, else the service's first, else 80. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1. */
  readonly sourceIp?: string | undefined;
  /** Default what `x-forwarded-for` says behind the Mesh's trusted proxies, else `sourceIp`. */
  readonly remoteIp?: string | undefined;
  /** The address that was called; default 127.0.0.1. */
  readonly destinationIp?: string | undefined;
  /** How strongly the caller was attested; one of `STRENGTHS`. */
  readonly attestation?: string | undefined;
  readonly sni?: string | undefined;
  /** The workload's labels besides `app` and what its Service declares, which they override. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly nowMs: number;
  /** Instead of what the Mesh in `sets` says. */
  readonly defaultAction?: 'deny' | 'allow' | undefined;
};

/** A request as people ask about it. */
export type CheckedRequest = {
  readonly method: string;
  readonly path: string;
  readonly host?: string | undefined;
  /** By name in any case; several lines of one header are a list. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /**
   * The payload of the end user's token, its signature taken as valid; undefined: there is none.
   * Where a RequestAuthentication is among the sets, it has to name the issuer, as in the sidecar.
   */
  readonly claims?: Claims | undefined;
};

/**
 * Answers one question from resources alone, as the proxy of the called workload would. The peer
 * mode counts where a Mesh or PeerAuthentication in `sets` sets it; without any, for policies in a
 * file, authorization alone is judged. Errors name what in the question or resources cannot be read.
 */
export function checkCall(input: CheckInput): Result<Explanation, string> {
  const name = parseServiceName(input.to, input.namespace, input.trustDomain);
  if (!name.ok) return name;
  const { sets } = input;
  const service = serviceNamed(sets, name.value);
  const workload = workloadOf(name.value, service, input.labels);
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  const { request, nowMs } = input;
  const user = request && checkToken(request, sets, { workload, nowMs });
  if (user?.ok === false) return ok(refused('token_invalid', user.error));
  const question = questionOf({ ...input, request: user?.value }, name.value, { service, mesh });
  if (!question.ok) return question;
  if (question.value.kind === 'refused') return ok(refused('cannot_decide', question.value.why));
  const asked = question.value.question;
  const policies = policiesFor(sets, workload, input.trustDomain);
  if (!policies.ok) return fail(policies.error.join('; '));
  const defaultAction = input.defaultAction ?? mesh?.spec.defaultAction ?? 'deny';
  const peer = resolvePeerMode(sets, workload, asked.destination.port);
  const seen = throughPeerMode(asked, peer);
  const explained = explain(policies.value, { defaultAction, workload }, seen);
  const explanation = withTraffic(
    withMissingToken(explained, seen, { policies: policies.value, defaultAction, sets, workload }),
    asked.request === undefined && service === undefined,
  );
  if (seen.source.id !== undefined || peer.mode !== 'STRICT' || peer.from === undefined) {
    return ok(explanation);
  }
  return ok(unauthenticated(explanation, peer.from));
}

function serviceNamed(sets: ResourceSets, name: ServiceName): ServiceResource | undefined {
  return resourcesOf(sets, name.namespace, 'Service').find(
    (found) => found.metadata.name === name.name,
  );
}

function workloadOf(
  name: ServiceName,
  service: ServiceResource | undefined,
  labels: CheckInput['labels'],
): SelectedWorkload {
  const declared = workloadLabels(name.name, service?.spec.labels);
  return { namespace: name.namespace, service: name.name, labels: { ...declared, ...labels } };
}

/** A question for policy, or why the proxy answers 400 before it comes to that. */
type Asked =
  | { readonly kind: 'ask'; readonly question: Question }
  | { readonly kind: 'refused'; readonly why: string };

function questionOf(
  input: CheckInput,
  name: ServiceName,
  {
    service,
    mesh,
  }: { readonly service: ServiceResource | undefined; readonly mesh: MeshResource | undefined },
): Result<Asked, string> {
  const port = input.port ?? name.port ?? service?.spec.ports[0]?.port ?? 80;
  const known = service?.spec.ports.find((candidate) => candidate.port === port);
  if (service !== undefined && known === undefined) {
    return fail(`service \`${name.namespace}/${name.name}\` has no port ${port}`);
  }
  const ip = input.sourceIp ?? LOOPBACK;
  const written = input.request?.host ?? name.host;
  const headers = headersOf({ host: written, ...input.request?.headers });
  const forwarded: string[] = [];
  headers.collect('x-forwarded-for', forwarded);
  const hops = mesh?.spec.numTrustedProxies ?? 0;
  const remoteIp = input.remoteIp ?? originalAddress(forwarded, hops, ip);
  const question = {
    source: {
      id: input.from,
      isForeign: input.from !== undefined && input.from.trustDomain !== input.trustDomain,
      ip,
      remoteIp,
      attestation: input.attestation,
    },
    connection: { tls: input.from !== undefined, sni: input.sni },
    request: undefined,
    destination: { port, ip: input.destinationIp ?? LOOPBACK },
    nowMs: input.nowMs,
  };
  const traffic = known === undefined ? undefined : trafficOf(known.protocol);
  const assumed = traffic === 'http' ? { method: 'GET', path: '/' } : undefined;
  const request: CheckInput['request'] = input.request ?? assumed;
  if (request === undefined || traffic === 'tcp') return ok({ kind: 'ask', question });
  const path = canonicalTarget(request.path, pathNormalizationOf(input, service));
  if (!path.ok) {
    const why = `the path \`${request.path.slice(0, 80)}\` is refused before policy: ${path.error}`;
    return ok({ kind: 'refused', why });
  }
  const { method } = request;
  const host = canonicalHost(request.host ?? name.host, port);
  const claims = request.claims && normalizeClaims(request.claims);
  return ok({
    kind: 'ask',
    question: { ...question, request: { method, host, path: path.value, headers, claims } },
  });
}

const LOOPBACK = '127.0.0.1';

function headersOf(written: NonNullable<CheckInput['request']>['headers'] = {}): RequestHeaders {
  const lines = Object.entries(written).map(
    ([name, value]) =>
      [name.toLowerCase(), (typeof value === 'string' ? [value] : value).map(headerText)] as const,
  );
  return {
    collect(name, into) {
      const wanted = name === ':authority' ? 'host' : name;
      for (const [key, values] of lines) if (key === wanted) into.push(...values);
    },
  };
}

function pathNormalizationOf(
  { sets }: CheckInput,
  service: ServiceResource | undefined,
): PathNormalization {
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  return service?.spec.pathNormalization ?? mesh?.spec.pathNormalization ?? 'STRICT';
}

/** SECURITY: no policy is asked about an invalid token or an ambiguous path, so none can allow it. */
function refused(reason: Decision['reason'], why: string): Explanation {
  const decision: Decision = {
    verdict: 'deny',
    reason,
    policy: undefined,
    rule: undefined,
    audit: undefined,
    exception: undefined,
    consult: [],
    dryRun: [],
  };
  return { decision, considered: [], smallestChange: { kind: 'none', sentence: why } };
}

/** On a port without TLS nobody can prove an identity. */
function throughPeerMode(question: Question, peer: ResolvedPeerMode): Question {
  if (peer.mode !== 'DISABLE') return question;
  return {
    ...question,
    source: { ...question.source, id: undefined },
    connection: { tls: false, sni: undefined },
  };
}

/** Tells who meant a request that, with neither method nor Service, a connection was judged. */
function withTraffic(explanation: Explanation, isAssumed: boolean): Explanation {
  const change = explanation.smallestChange;
  if (change === undefined || !isAssumed) return explanation;
  const sentence = `${change.sentence} (a TCP connection was judged, since neither a method, a path nor a Service says that it is HTTP)`;
  return { ...explanation, smallestChange: { ...change, sentence } };
}

function unauthenticated(explanation: Explanation, from: string): Explanation {
  const decision: Decision = {
    ...explanation.decision,
    verdict: 'deny',
    reason: 'peer_unauthenticated',
    policy: undefined,
    rule: undefined,
    consult: [],
  };
  const sentence = `${from} asks every caller for mutual TLS: run the caller behind a sidecar, then allow its identity`;
  return { ...explanation, decision, smallestChange: { kind: 'none', sentence } };
}
