// A control plane in an attacker's hands: it has a genuine certificate of `/palisade/control`, sits between the agents
// and an honest control plane, and changes what passes. Acknowledgements pass unchanged, so that `status` tells them.
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  createGrpcClient,
  createGrpcServer,
  createMessage,
  Distribution,
  type GrpcCall,
  type GrpcClient,
  type PolicySetUpdate,
  type ReportRequest,
  type ReportResponse,
  type SubscribeRequest,
  type SubscribeResponse,
  SubscribeResponseSchema,
  Telemetry,
} from '#wire';
import { enrol, joinToken, type PublicTrust, publicTrust, targetOf } from './stolen-identity.ts';

type Message = SubscribeResponse['message'];

/** What is sent in place of one message; none: it is withheld. `node` is whom it is for. */
export type Tamper = (message: Message, node: string) => readonly Message[];

/** One state of a namespace that passed by: what an attacker keeps for later. */
export type Kept = {
  readonly number: number;
  /** The commit's envelope. */
  readonly commit: Uint8Array;
  /** `Kind/name` to canonical JSON. */
  readonly resources: ReadonlyMap<string, Uint8Array>;
};

/** A running man in the middle. */
export type HostileControl = {
  readonly address: string;
  /** Sets what is done to messages; undefined: nothing. */
  readonly tamper: (how: Tamper | undefined) => void;
  /** All states of a namespace that were seen, oldest first. */
  readonly kept: (namespace: string) => readonly Kept[];
  /** Codes of all refusals that points acknowledged since the last call. */
  readonly takeRefusals: () => ReadonlySet<string>;
  /** Ends all streams, so that everybody says Hello again. */
  readonly dropStreams: () => void;
  readonly close: () => Promise<void>;
};

const HONEST: Tamper = (message) => [message];

/** Starts it with what a thief of both join tokens can have. */
export async function startHostileControl(of: {
  readonly dataDir: string;
  readonly ca: string;
  /** `host:port` of the honest control plane. */
  readonly honest: string;
}): Promise<HostileControl> {
  const trust = publicTrust(of.dataDir);
  const own = (path: string) => `spiffe://${trust.bundle.trustDomain}/palisade/${path}`;
  const control = await enrol({ ...of, trust }, own('control'), joinToken(of.dataDir, 'control'));
  // Towards the honest control plane it passes for an agent: that is plumbing of this test, not part of the attack.
  const agent = await enrol({ ...of, trust }, own('agent/between'), joinToken(of.dataDir, 'agent'));
  const target = targetOf(of.honest, own('control'), trust, agent);
  return serve(target, control, trust);
}

type SubscribeCall = GrpcCall<SubscribeRequest, SubscribeResponse>;
type ReportCall = GrpcCall<ReportRequest, ReportResponse>;
type Call = SubscribeCall | ReportCall;

async function serve(
  target: ReturnType<typeof targetOf>,
  material: Awaited<ReturnType<typeof enrol>>,
  trust: PublicTrust,
): Promise<HostileControl> {
  let how = HONEST;
  let refusals = new Set<string>();
  const memory = createMemory();
  const calls = new Set<Call>();
  const distribution = createGrpcClient(Distribution, target);
  const telemetry = createGrpcClient(Telemetry, target);

  function subscribe(call: SubscribeCall): void {
    const up = distribution.bidi(Distribution.method.subscribe);
    let node = '';
    call.on('data', (request: SubscribeRequest) => {
      if (request.message.case === 'hello') node = request.message.value.node;
      if (request.message.case === 'ack') {
        for (const { code } of request.message.value.refused) refusals.add(code);
      }
      up.write(request as never);
    });
    up.on('data', ({ message }: SubscribeResponse) => {
      if (message.case === 'policySet' && node.startsWith('agent/')) memory.keep(message.value);
      for (const sent of how(message, node)) {
        call.write(createMessage(SubscribeResponseSchema, { message: sent }));
      }
    });
    pass(call, up as never, calls);
  }

  function report(call: ReportCall): void {
    const up = telemetry.bidi(Telemetry.method.report);
    call.on('data', (request: ReportRequest) => up.write(request as never));
    up.on('data', (response: ReportResponse) => call.write(response));
    pass(call, up as never, calls);
  }

  const server = createGrpcServer<true>([
    { service: Distribution, implementation: { subscribe } },
    { service: Telemetry, implementation: { report } },
  ]);
  const port = await server.listenTls({
    host: '127.0.0.1',
    port: 0,
    material: () => ({ ...material, rootsPem: trust.rootsPem }),
    identify: () => true,
  });
  return {
    address: `127.0.0.1:${port}`,
    tamper(next) {
      how = next ?? HONEST;
    },
    kept: memory.kept,
    takeRefusals() {
      const taken = refusals;
      refusals = new Set();
      return taken;
    },
    dropStreams() {
      for (const call of calls) call.refuse({ code: status.UNAVAILABLE, details: 'dropped' });
    },
    async close() {
      distribution.close();
      telemetry.close();
      await server.close();
    },
  };
}

/** Joins the ends of two streams: what ends one ends the other. */
function pass(call: Call, up: ReturnType<GrpcClient['bidi']>, calls: Set<Call>): void {
  calls.add(call);
  up.on('metadata', () => call.sendMetadata());
  up.on('end', () => call.end());
  up.on('error', ({ code, details }: ServiceError) => call.refuse({ code, details }));
  call.on('end', () => up.end());
  const over = () => {
    calls.delete(call);
    up.cancel();
  };
  call.on('cancelled', over);
  call.on('close', over);
}

function createMemory() {
  const states = new Map<string, Kept[]>();
  return {
    kept: (namespace: string): readonly Kept[] => states.get(namespace) ?? [],
    keep(update: PolicySetUpdate): void {
      const known = states.get(update.namespace) ?? [];
      states.set(update.namespace, known);
      const commit = update.commits.at(-1);
      if (commit === undefined) return;
      const number = numberOf(commit);
      if (number <= (known.at(-1)?.number ?? 0)) return;
      const resources = new Map(update.full ? [] : known.at(-1)?.resources);
      for (const { key, resource } of update.changes) {
        if (resource.length === 0) resources.delete(key);
        else resources.set(key, resource);
      }
      known.push({ number, commit, resources });
    },
  };
}

/** What a commit's envelope signs. */
export function payloadOf(
  commit: Uint8Array,
): { readonly number: number; readonly parent: string | null } & Record<string, unknown> {
  const { payload } = JSON.parse(Buffer.from(commit).toString()) as { payload: string };
  return JSON.parse(Buffer.from(payload, 'base64').toString());
}

function numberOf(commit: Uint8Array): number {
  return payloadOf(commit).number;
}
