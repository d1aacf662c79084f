import { type TrustDomain, workloadSpiffeId } from '#identity';
import { fail, ok, type PathNormalization, parseDuration, type Result } from '#lib';
import { type ServiceResource, serviceHosts } from '#resource';
import type { Timeouts, UpstreamService } from '#snapshot';
import { compileTraffic } from './traffic.ts';

/**
 * A service as its callers see it; `pathNormalization` is the Mesh's. Errors name the field that
 * cannot be read.
 */
export function compileUpstream(
  service: ServiceResource,
  trustDomain: TrustDomain,
  pathNormalization: PathNormalization,
): Result<UpstreamService, readonly string[]> {
  const { namespace, name } = service.metadata;
  const timeouts = compileTimeouts(service);
  if (!timeouts.ok) return timeouts;
  const traffic = compileTraffic(service);
  if (!traffic.ok) return traffic;
  return ok({
    namespace,
    name,
    fqdn: `${name}.${namespace}.svc.${trustDomain}`,
    ports: service.spec.ports.map(({ port, name, protocol, targetPort }) => ({
      port,
      name,
      protocol,
      targetPort,
    })),
    identities: servingIdentities(service, trustDomain),
    endpoints: service.spec.endpoints?.map(({ address, port, hbonePort, authority }) => ({
      host: address,
      port,
      hbonePort,
      authority,
    })),
    timeouts: timeouts.value,
    traffic: traffic.value,
    pathNormalization: service.spec.pathNormalization ?? pathNormalization,
  });
}

/** The hosts that reach a service from a workload of `callerNamespace`, lower case, without port. */
export function upstreamHosts(
  service: ServiceResource,
  trustDomain: TrustDomain,
  callerNamespace: string,
): readonly string[] {
  const { namespace, name } = service.metadata;
  // The bare name is one's own namespace's service; anywhere else it would mean another.
  return serviceHosts(namespace, name, trustDomain)
    .map((host) => host.toLowerCase())
    .filter((host) => host !== name || namespace === callerNamespace);
}

/** A service's time limits in milliseconds. */
export function compileTimeouts(service: ServiceResource): Result<Timeouts, readonly string[]> {
  const { connect, idle, header, response, request, session } = service.spec.timeouts;
  const { namespace, name } = service.metadata;
  const problems: string[] = [];
  const read = (field: string, text: string): number => {
    const parsed = parseDuration(text);
    if (parsed.ok) return parsed.value;
    problems.push(`Service ${namespace}/${name}: timeouts.${field}: ${parsed.error}`);
    return 0;
  };
  const timeouts = {
    connectMs: read('connect', connect),
    idleMs: read('idle', idle),
    headerMs: read('header', header),
    responseMs: read('response', response),
    requestMs: request === undefined ? undefined : read('request', request),
    sessionMs: read('session', session),
  };
  return problems.length > 0 ? fail(problems) : ok(timeouts);
}

/** Who may serve the name: what the Service says, or where it says nothing, the account of its own name. */
export function servingIdentities(
  service: ServiceResource,
  trustDomain: TrustDomain,
): ReadonlySet<string> {
  const { namespace, name } = service.metadata;
  const { identities, serviceAccounts = [] } = service.spec;
  const accounts = serviceAccounts.map((text) => {
    const [first = '', account] = text.split('/');
    return account === undefined
      ? workloadSpiffeId(trustDomain, namespace, first)
      : workloadSpiffeId(trustDomain, first, account);
  });
  const all = [...identities, ...accounts.map((id) => id.text)];
  return new Set(all.length > 0 ? all : [workloadSpiffeId(trustDomain, namespace, name).text]);
}
