import type { ServiceEndpoints } from '#wire';
import type { StateFolder } from './state-folder.ts';

/** Where an instance of a service may be reached. Unverified: whoever answers there must prove the identity. */
export type ServiceEndpoint = {
  readonly host: string;
  readonly port: number;
  readonly node: string;
};

/** The endpoints of services, kept on disk so that a restart can go on without the agent. */
export type EndpointTable = {
  readonly of: (service: {
    readonly namespace: string;
    readonly name: string;
  }) => readonly ServiceEndpoint[];
  readonly replace: (endpoints: ServiceEndpoints) => Promise<void>;
};

const FILE = 'endpoints.json';
// SECURITY: bounds for what an unverified message may make us hold.
const MAX_SERVICES = 10_000;
const MAX_ENDPOINTS = 10_000;
const NONE: readonly ServiceEndpoint[] = [];

/** Opens the endpoints known before a restart. */
export function openEndpointTable(folder: StateFolder): EndpointTable {
  const table = new Map<string, readonly ServiceEndpoint[]>();
  const stored = folder.readJson(FILE);
  if (typeof stored === 'object' && stored !== null) {
    for (const [key, value] of Object.entries(stored)) {
      if (Array.isArray(value)) table.set(key, value.filter(isEndpoint));
    }
  }
  return {
    of: ({ namespace, name }) => table.get(`${namespace}/${name}`) ?? NONE,
    async replace({ namespace, service, endpoints }) {
      const key = `${namespace}/${service}`;
      const good = endpoints
        .map(({ host, port, node }) => ({ host, port, node }))
        .filter(isEndpoint)
        .slice(0, MAX_ENDPOINTS);
      if (good.length === 0) table.delete(key);
      else if (table.has(key) || table.size < MAX_SERVICES) table.set(key, good);
      await folder.writeJson(FILE, Object.fromEntries(table));
    },
  };
}

function isEndpoint(value: unknown): value is ServiceEndpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { host, port, node } = value as Record<string, unknown>;
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536;
  const isHost = typeof host === 'string' && host !== '' && host.length <= 255;
  return isPort && isHost && typeof node === 'string';
}
