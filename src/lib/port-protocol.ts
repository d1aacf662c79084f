/**
 * What a Service says that the application speaks at a port: HTTP/1.1, HTTP/2 with prior knowledge,
 * gRPC over that, TLS of its own that is passed through, or anything, which is what a port speaks
 * that says nothing.
 */
export const PORT_PROTOCOLS = ['http', 'http2', 'grpc', 'tls', 'tcp'] as const;

/** One of `PORT_PROTOCOLS`. */
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

/** Whether policy judges a port's requests (`http`) or its connections (`tcp`). */
export function trafficOf(protocol: PortProtocol): 'http' | 'tcp' {
  return protocol === 'tls' || protocol === 'tcp' ? 'tcp' : 'http';
}
