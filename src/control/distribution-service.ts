import { status } from '@grpc/grpc-js';
import {
  Distribution,
  type EndpointAnnouncement,
  type GrpcCall,
  type GrpcService,
  type Hello,
  type SubscribeRequest,
  type SubscribeResponse,
} from '#wire';
import type { Distributor, Subscription } from './distribute.ts';
import type { EndpointRegistry } from './endpoints.ts';
import type { Enforcement } from './enforcement.ts';
import type { MeshPeer } from './peer.ts';
import type { StoredEndpoint } from './store.ts';

/** What the Distribution service puts on the wire. */
export type DistributionServiceOptions = {
  readonly peer: (call: { readonly getPeer: () => string }) => MeshPeer;
  readonly distributor: Distributor;
  readonly enforcement: Enforcement;
  readonly endpoints: EndpointRegistry;
  /** After a process said hello that may. */
  readonly onGreeted: (hello: Hello, peer: string) => void;
  readonly onRefused: (reason: string) => void;
};

type Call = GrpcCall<SubscribeRequest, SubscribeResponse>;

/** A stream that said hello. */
type Greeted = { readonly hello: Hello; readonly subscription: Subscription };

const MAX_NAMESPACES = 10_000;
const MAX_ENDPOINTS = 1_000;
const NAME = /^[\x21-\x7e]{1,300}$/;

/** Distribution (distribution.proto) for agents and the CA. */
export function createDistributionService(options: DistributionServiceOptions): GrpcService {
  // Which call speaks for a node: a reconnect may arrive before the old stream is known to be dead.
  const speakers = new Map<string, Call>();
  return {
    service: Distribution,
    implementation: { subscribe: (call: Call) => serve(call, speakers, options) },
  };
}

function serve(call: Call, speakers: Map<string, Call>, options: DistributionServiceOptions): void {
  const { enforcement, endpoints } = options;
  const peer = options.peer(call);
  let greeted: Greeted | undefined;

  function finish(clean: boolean): void {
    if (greeted === undefined) return;
    const { hello, subscription } = greeted;
    greeted = undefined;
    subscription.close();
    if (speakers.get(hello.node) !== call) return;
    speakers.delete(hello.node);
    enforcement.disconnected(hello.node, clean);
    endpoints.disconnected(hello.node, clean);
  }

  function refuse(code: status, details: string): void {
    options.onRefused(details);
    call.refuse({ code, details });
    finish(false);
  }

  function greet(hello: Hello): void {
    const problem = helloProblem(hello, peer) ?? takenProblem(hello, peer, enforcement);
    if (problem !== undefined) return refuse(problem.code, problem.details);
    speakers.set(hello.node, call);
    enforcement.connected(hello, peer.id);
    options.onGreeted(hello, peer.id);
    endpoints.announce(
      hello.node,
      hello.endpoints.map((endpoint) => announced(hello.node, endpoint)),
    );
    const stream = { write: (response: SubscribeResponse) => call.write(response) };
    greeted = { hello, subscription: options.distributor.subscribe(hello, stream) };
  }

  function receive({ message }: SubscribeRequest): void {
    if (message.case === 'hello' && greeted === undefined) return greet(message.value);
    if (greeted === undefined || message.case === 'hello' || message.case === undefined) {
      return refuse(
        status.INVALID_ARGUMENT,
        'the first message of a stream, and only it, is Hello',
      );
    }
    if (message.case === 'lookup') return greeted.subscription.lookedUp(message.value);
    if (speakers.get(greeted.hello.node) === call) {
      enforcement.acknowledged(greeted.hello.node, message.value);
    }
    greeted.subscription.acknowledged(message.value);
  }

  call.on('data', receive);
  call.on('drain', () => greeted?.subscription.drained());
  call.on('end', () => {
    finish(true);
    call.end();
  });
  call.on('cancelled', () => finish(false));
  call.on('close', () => finish(false));
}

type HelloProblem = { readonly code: status; readonly details: string };

function helloProblem(hello: Hello, peer: MeshPeer): HelloProblem | undefined {
  const invalid = (details: string) => ({ code: status.INVALID_ARGUMENT, details });
  if (!NAME.test(hello.node))
    return invalid('a node is named by 1 to 300 visible ASCII characters');
  const kinds = peer.kind === 'ca' ? ['ca'] : ['proxy', 'agent'];
  if (!kinds.includes(hello.kind)) {
    return {
      code: status.PERMISSION_DENIED,
      details: `\`${peer.id}\` subscribes as ${kinds.join(' or ')}`,
    };
  }
  if (hello.namespaces.length > MAX_NAMESPACES) return invalid('too many namespaces');
  if (hello.endpoints.length > MAX_ENDPOINTS) return invalid('too many endpoints');
  // SECURITY: `*` is for those whose task is the whole mesh; a workload gets the namespaces it asks for by name.
  if (hello.kind === 'proxy' && hello.namespaces.includes('*')) {
    return { code: status.PERMISSION_DENIED, details: 'a proxy names its namespaces' };
  }
  const bad = hello.endpoints.find(
    ({ port, hbonePort, host }) =>
      port < 1 || port > 65_535 || hbonePort > 65_535 || !NAME.test(host),
  );
  return bad && invalid('an endpoint without a host or a port');
}

// SECURITY: one host's agent must not speak for another host's workloads.
function takenProblem(
  { node }: Hello,
  peer: MeshPeer,
  enforcement: Enforcement,
): HelloProblem | undefined {
  const via = enforcement.connectedVia(node);
  if (via === undefined || via === peer.id) return undefined;
  return {
    code: status.ALREADY_EXISTS,
    details: `node \`${node}\` is connected through another agent`,
  };
}

function announced(node: string, endpoint: EndpointAnnouncement): StoredEndpoint {
  const { namespace, service, host, port, hbonePort } = endpoint;
  return { node, namespace, service, host, port, hbonePort };
}
