import { status } from '@grpc/grpc-js';
import { parseSpiffeId, type SpiffeId } from '#identity';
import { fail, ok, type Result } from '#lib';
import { ROOT_NAMESPACE } from '#resource';
import { EVENT, type Log } from '#telemetry';
import {
  type CallRefusal,
  createMessage,
  Distribution,
  type GrpcCall,
  type GrpcService,
  type Hello,
  type ReportRequest,
  type ReportResponse,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
  Telemetry,
} from '#wire';
import type { ControlCall, ControlChannel } from './control-channel.ts';
import { type HostPolicy, mayServe } from './host-policy.ts';
import { relayStream } from './relay-stream.ts';

/** A caller of the relay: the identities its process is entitled to. */
export type RelayPeer = { readonly ids: readonly string[] };

/** What the relay works with. */
export type RelayOptions = {
  /** Who sent a call; fails with the status to answer. */
  readonly attest: (call: {
    readonly getPeer: () => string;
  }) => Promise<Result<RelayPeer, CallRefusal>>;
  readonly policy: () => HostPolicy | undefined;
  readonly control: ControlChannel;
  readonly log: Log;
};

type SubscribeCall = GrpcCall<SubscribeRequest, SubscribeResponse>;
type ReportCall = GrpcCall<ReportRequest, ReportResponse>;

const NO_IDENTITY: CallRefusal = {
  code: status.UNAVAILABLE,
  details: 'the agent has no identity yet',
};

/** Relays Distribution and Telemetry to the control plane, stream by stream, under what the agent attested. */
export function createRelay(options: RelayOptions): readonly GrpcService[] {
  return [
    {
      service: Distribution,
      implementation: {
        subscribe: (call: SubscribeCall) =>
          begin(options, call, Distribution, (id, control) => {
            const up = control.client.bidi(Distribution.method.subscribe);
            const rewrite = createSubscribeRewrite(id, options.policy);
            relayStream({ down: call, up: up as never, rewrite, onEnd: control.release });
          }),
      },
    },
    {
      service: Telemetry,
      implementation: {
        report: (call: ReportCall) =>
          begin(options, call, Telemetry, (ids, control) => {
            const up = control.client.bidi(Telemetry.method.report);
            const rewrite = createReportRewrite(ids, options.policy);
            relayStream({ down: call, up: up as never, rewrite, onEnd: control.release });
          }),
      },
    },
  ];
}

async function begin(
  options: RelayOptions,
  call: SubscribeCall | ReportCall,
  service: typeof Distribution | typeof Telemetry,
  relay: (ids: readonly SpiffeId[], control: ControlCall) => void,
): Promise<void> {
  const refuse = (refusal: CallRefusal) => {
    options.log.debug(EVENT.relayRefused, { reason: refusal.details });
    call.refuse(refusal);
  };
  const peer = await options.attest(call);
  if (call.cancelled) return;
  if (!peer.ok) return refuse(peer.error);
  const ids = peer.value.ids.flatMap((text) => {
    const id = parseSpiffeId(text);
    return id.ok ? [id.value] : [];
  });
  const control = options.control.acquire(service);
  if (control === undefined) return refuse(NO_IDENTITY);
  return relay(ids, control);
}

/** SECURITY: whatever a process says of itself is replaced by, or checked against, what was attested of it. */
export function createSubscribeRewrite(
  ids: readonly SpiffeId[],
  policy: () => HostPolicy | undefined,
): (request: SubscribeRequest) => Result<SubscribeRequest, CallRefusal> {
  let greeted: SpiffeId | undefined;
  return (request) => {
    const { message } = request;
    if (greeted === undefined) {
      if (message.case !== 'hello') return refusal('the first message is Hello');
      const id = ids.find((each) => each.text === message.value.spiffeId) ?? ids[0];
      if (id === undefined) return refusal('no identity');
      const value = rewriteHello(message.value, id, policy());
      if (!value.ok) return value;
      greeted = id;
      return ok(
        createMessage(SubscribeRequestSchema, { message: { case: 'hello', value: value.value } }),
      );
    }
    if (message.case === 'hello') return refusal('Hello comes once');
    if (message.case === 'ack') message.value.spiffeId = greeted.text;
    return ok(request);
  };
}

/** SECURITY: a report under another's node name would overwrite or discredit its records. */
export function createReportRewrite(
  ids: readonly SpiffeId[],
  policy: () => HostPolicy | undefined,
): (request: ReportRequest) => Result<ReportRequest, CallRefusal> {
  return (request) => {
    const isOwn = ids.some((id) => isNodeOf(request.node, id, policy()));
    return isOwn ? ok(request) : refusal('the node is not named `NAMESPACE/SERVICE/…` of its own');
  };
}

function rewriteHello(
  hello: Hello,
  id: SpiffeId,
  policy: HostPolicy | undefined,
): Result<Hello, CallRefusal> {
  if (!isNodeOf(hello.node, id, policy)) {
    return refusal('the node is not named `NAMESPACE/SERVICE/…` of its own');
  }
  const own = new Set([id.namespace, ROOT_NAMESPACE]);
  return ok({
    ...hello,
    kind: 'proxy',
    spiffeId: id.text,
    // Nobody holds the whole mesh: other namespaces are asked for resource by resource.
    namespaces: hello.namespaces.filter((namespace) => own.has(namespace)),
    endpoints: hello.endpoints.filter(({ namespace, service }) =>
      mayServe(policy, { namespace, name: service }, id),
    ),
  });
}

/** Nodes are named `NAMESPACE/SERVICE/SUFFIX`; a process speaks for nodes of services it may serve, or is. */
function isNodeOf(node: string, id: SpiffeId, policy: HostPolicy | undefined): boolean {
  const [namespace = '', name = '', suffix = '', ...rest] = node.split('/');
  if (suffix === '' || rest.length > 0 || namespace !== id.namespace) return false;
  return name === id.serviceAccount || mayServe(policy, { namespace, name }, id);
}

function refusal(details: string): Result<never, CallRefusal> {
  return fail({ code: status.PERMISSION_DENIED, details });
}
