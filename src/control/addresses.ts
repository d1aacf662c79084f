import { parseSpiffeId, type SpiffeId } from '#identity';

/** Where a console on this host and port is found; null while there is none. */
export function consoleUrl(host: string | undefined, port: number | undefined): string | null {
  if (host === undefined || port === undefined) return null;
  return `http://${hostAndPort(host, port)}`;
}

/** As it stands in a URL: IPv6 addresses in brackets. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The identity of a part of the mesh itself. */
export function meshId(trustDomain: string, role: 'ca' | 'control'): SpiffeId {
  const id = parseSpiffeId(`spiffe://${trustDomain}/palisade/${role}`);
  if (!id.ok) throw new Error(id.error);
  return id.value;
}

/** The port of `HOST:PORT`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
