import type { Endpoint } from '#proxy';
import type { DeclaredEndpoint, UpstreamPort, UpstreamService } from '#snapshot';

/** What a service says of its instances. */
type Served = Pick<UpstreamService, 'ports' | 'endpoints'>;
type Endpoints<S> = (service: S, port: number) => readonly Endpoint[];

/**
 * The endpoints of a service's port: those that sidecars announce, and those that its Service names. The same list is
 * the same object, since the proxy asks for each call.
 */
export function withDeclared<S extends Served>(
  announced: (service: S) => readonly Endpoint[],
): Endpoints<S> {
  const made = new WeakMap<S, Map<number, Joined>>();
  return (service, number) => {
    const from = announced(service);
    if (service.endpoints === undefined) return from;
    const ports = made.get(service) ?? new Map<number, Joined>();
    made.set(service, ports);
    const known = ports.get(number);
    if (known?.from === from) return known.all;
    const port = service.ports.find((each) => each.port === number);
    const declared =
      port === undefined ? [] : service.endpoints.map((each) => endpointOf(each, port));
    const all = [...from, ...declared];
    ports.set(number, { from, all });
    return all;
  };
}

type Joined = { readonly from: readonly Endpoint[]; readonly all: readonly Endpoint[] };

function endpointOf(declared: DeclaredEndpoint, port: UpstreamPort): Endpoint {
  const { host, hbonePort } = declared;
  const applicationPort = port.targetPort ?? port.port;
  return {
    host,
    port: declared.port ?? applicationPort,
    hbonePort,
    // As ztunnel names a workload. RFC 3986 section 3.2.2: an IPv6 address stands in brackets.
    authority:
      declared.authority === 'address'
        ? `${host.includes(':') ? `[${host}]` : host}:${applicationPort}`
        : undefined,
  };
}
