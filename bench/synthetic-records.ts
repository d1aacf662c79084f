// Access records of a mesh that does not exist: 40 services, some 200 edges, paths with ids in them, durations with a long
// tail, one call in a hundred denied and one in two hundred failed. The same seed makes the same records.
import type { AccessRecord } from '#telemetry';

const SERVICES = 40;
const EDGES = 200;
const ROUTES = 25;
/** How many different things the ids in paths name. */
const THINGS = 50_000;

/** Makes records of one node's or of all nodes' calls. */
export type SyntheticRecords = {
  /** The record of the next call that the service of this number serves, at `timeMs`. */
  readonly next: (service: number, seq: number, timeMs: number) => AccessRecord;
};

export const SERVICE_COUNT = SERVICES;

/** `default/service-N/1` */
export function nodeOf(service: number): string {
  return `default/service-${service}/1`;
}

/** The start of a source; ids of records are `BOOT-SEQ`. */
export function bootOf(service: number): string {
  return `boot${String(service).padStart(4, '0')}`;
}

/** Creates the generator. */
export function createSyntheticRecords(seed: number): SyntheticRecords {
  const random = createRandom(seed);
  const whole = (below: number): number => Math.floor(random() * below);
  const hex = (digits: number): string => {
    let text = '';
    while (text.length < digits)
      text += whole(2 ** 24)
        .toString(16)
        .padStart(6, '0');
    return text.slice(0, digits);
  };
  return {
    next(service, seq, timeMs) {
      const caller = (service + 1 + whole(EDGES / SERVICES)) % SERVICES;
      const chance = random();
      const isDenied = chance < 0.01;
      const isFailed = !isDenied && chance < 0.015;
      const route = Math.min(ROUTES - 1, Math.floor(-Math.log(1 - random()) * 4));
      const durationUs = Math.round(400 * Math.exp(1.1 * gauss(random)));
      return {
        id: `${bootOf(service)}-${seq}`,
        time: new Date(timeMs).toISOString(),
        kind: 'http',
        reporter: 'destination',
        'source.id': `spiffe://cluster.local/ns/default/sa/service-${caller}`,
        'source.service': `service-${caller}`,
        'source.ip': `10.0.${caller}.${1 + whole(3)}`,
        'destination.id': `spiffe://cluster.local/ns/default/sa/service-${service}`,
        'destination.service': `service-${service}`,
        'destination.namespace': 'default',
        'destination.port': 80,
        'connection.sni': null,
        'tls.version': 'TLSv1.3',
        'tls.cipher': 'TLS_AES_128_GCM_SHA256',
        'tls.group': 'X25519MLKEM768',
        peer_serial: `ab${caller}cd${Math.floor(timeMs / 1_800_000).toString(16)}`,
        method: random() < 0.8 ? 'GET' : 'POST',
        host: `service-${service}.default.svc`,
        path: `/api/v1/route-${route}/${whole(THINGS)}`,
        policy: isDenied ? null : `default/service-${service}-callers`,
        rule: isDenied ? null : '0',
        policy_version: 'default@12 palisade-system@3',
        denial_id: isDenied ? hex(20) : null,
        trace_id: hex(32),
        span_id: hex(16),
        parent_span_id: hex(16),
        duration_us: durationUs,
        bytes_in: random() < 0.8 ? 0 : whole(2_000),
        bytes_out: 200 + whole(4_000),
        decision_us: 20 + whole(60),
        upstream_us: Math.round(durationUs * 0.8),
        kept: isDenied ? 'denied' : isFailed ? 'error' : 'sampled',
        weight: isDenied || isFailed ? 1 : 1 + whole(12),
        status: isDenied ? 403 : isFailed ? 503 : 200,
        reason: isDenied ? 'policy_denied' : null,
        verdict: isDenied ? 'deny' : 'allow',
        seq,
      } as AccessRecord;
    },
  };
}

function gauss(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
