import { parseIp } from '#lib';
import {
  defaulted,
  integer,
  listOf,
  object,
  oneOf,
  optional,
  quote,
  required,
  text,
} from './schema.ts';

/**
 * An instance that no sidecar of this mesh announces: a workload of another mesh, a waypoint, an application with an SVID
 * of its own. Its address needs no trust, since its identity is checked.
 */
export type ServiceEndpoint = {
  /** An IP address. */
  readonly address: string;
  /** Where it takes plain mutual TLS; where absent, the port's `targetPort` or number. */
  readonly port?: number;
  /** Where it takes HBONE tunnels, which are then used. */
  readonly hbonePort?: number;
  /** What CONNECT names there: the service's name and port, or this address and the port's `targetPort`. */
  readonly authority: EndpointAuthority;
};

/** How a tunnel names what is behind it. */
export type EndpointAuthority = 'service' | 'address';

const port = integer(1, 65_535);

const ipAddress = text((value) => {
  if (parseIp(value) !== undefined && !value.includes('/')) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not an IP address`,
    help: 'write for example `10.0.0.7`: names are not looked up, so that nobody but the signed Service says where calls go',
  };
});

/** Reads the endpoints of a Service. */
export const readServiceEndpoints = listOf(
  object('an endpoint', {
    address: required(ipAddress, 'write its IP address, for example `address: 10.0.0.7`'),
    port: optional(port),
    hbonePort: optional(port),
    authority: defaulted(oneOf(['service', 'address']), () => 'service' as const),
  }),
  { maxItems: 256 },
);
