import { EVENT, type Log } from '#telemetry';
import type { ServiceEndpoints } from '#wire';
import type { StateFolder } from './state-folder.ts';

/** Where an instance of a service may be reached. Unverified: whoever answers there must prove the identity. */
export type ServiceEndpoint = {
  readonly host: string;
  readonly port: number;
  /** Where it takes HBONE tunnels; 0 if it does not. */
  readonly hbonePort: number;
  readonly node: string;
};

/** The endpoints of services, kept on disk so that a restart can go on without the agent. */
export type EndpointTable = {
  readonly of: (service: {
    readonly namespace: string;
    readonly name: string;
  }) => readonly ServiceEndpoint[];
  readonly replace: (endpoints: ServiceEndpoints) => void;
  /** Resolves when what was replaced so far is on disk, or could not be written. */
  readonly saved: () => Promise<void>;
};

const FILE = 'endpoints.json';
// SECURITY: bounds for what an unverified message may make us hold.
const MAX_SERVICES = 10_000;
const MAX_ENDPOINTS = 10_000;
const NONE: readonly ServiceEndpoint[] = [];

/** Opens the endpoints known before a restart. */
export function openEndpointTable(folder: StateFolder, log: Log): EndpointTable {
  const table = new Map<string, readonly ServiceEndpoint[]>();
  const stored = folder.readJson(FILE);
  if (typeof stored === 'object' && stored !== null) {
    for (const [key, value] of Object.entries(stored)) {
      if (Array.isArray(value)) table.set(key, value.map(withTunnel).filter(isEndpoint));
    }
  }
  // Asked for each call, with the same few objects: their names need not be joined and looked up each time.
  let found = new WeakMap<object, readonly ServiceEndpoint[]>();
  let isDirty = false;
  let saving: Promise<void> | undefined;
  // At the start there comes a message for each service: one write takes all that came during the one before.
  async function save(): Promise<void> {
    while (isDirty) {
      isDirty = false;
      try {
        await folder.writeJson(FILE, Object.fromEntries(table));
      } catch (error) {
        log.error(EVENT.stateWriteFailed, { file: FILE, error });
      }
    }
    saving = undefined;
  }
  return {
    of(service) {
      const known = found.get(service);
      if (known !== undefined) return known;
      const endpoints = table.get(`${service.namespace}/${service.name}`) ?? NONE;
      found.set(service, endpoints);
      return endpoints;
    },
    replace({ namespace, service, endpoints }) {
      const key = `${namespace}/${service}`;
      const good = endpoints
        .map(({ host, port, hbonePort, node }) => ({ host, port, hbonePort, node }))
        .filter(isEndpoint)
        .slice(0, MAX_ENDPOINTS);
      if (good.length === 0) table.delete(key);
      else if (table.has(key) || table.size < MAX_SERVICES) table.set(key, good);
      found = new WeakMap();
      isDirty = true;
      saving ??= save();
    },
    saved: () => saving ?? Promise.resolve(),
  };
}

// A file that an earlier version wrote knows no tunnels.
function withTunnel(value: unknown): unknown {
  return typeof value === 'object' ? { hbonePort: 0, ...value } : value;
}

function isEndpoint(value: unknown): value is ServiceEndpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { host, port, hbonePort, node } = value as Record<string, unknown>;
  const isPort = isPortNumber(port) && port > 0 && isPortNumber(hbonePort);
  const isHost = typeof host === 'string' && host !== '' && host.length <= 255;
  return isPort && isHost && typeof node === 'string';
}

function isPortNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 65_536;
}
