import type { DescMessage, DescMethod, MessageShape } from '@bufbuild/protobuf';
import { Metadata } from '@grpc/grpc-js';
import { createBackoff, type Scheduler } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { createGrpcClient } from '#wire';

/** What following a stream takes. */
export type WorkloadStreamOptions = {
  readonly agentSocket: string;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

const RETRY = { minMs: 50, maxMs: 2_000 };

/**
 * Keeps a stream of the agent's socket open, opened again whenever it ends, until the returned function is called.
 * `received` says whether an answer was good; `lost` hears why there is no stream.
 */
export function followWorkloadStream<O extends DescMessage>(
  options: WorkloadStreamOptions,
  method: DescMethod & { readonly output: O },
  on: {
    readonly received: (response: MessageShape<O>) => boolean;
    readonly lost: (reason: string) => void;
  },
): () => void {
  const { agentSocket, log, random, scheduler } = options;
  const client = createGrpcClient(method.parent, { kind: 'unix', path: agentSocket });
  const backoff = createBackoff(RETRY, random);
  let isClosed = false;
  let cancel = () => {};
  let stream: { cancel: () => void } | undefined;

  function connect(): void {
    const metadata = new Metadata();
    // SPIFFE Workload Endpoint 6: proves that no browser was tricked into the call.
    metadata.set('workload.spiffe.io', 'true');
    const call = client.serverStream(method, {}, metadata);
    stream = call;
    let isOver = false;
    const again = (reason: string) => {
      if (isOver || isClosed) return;
      isOver = true;
      on.lost(reason);
      log.debug(EVENT.identityLost, { reason });
      cancel = scheduler.after(backoff.nextMs(), connect);
    };
    call.on('data', (response: MessageShape<O>) => {
      if (on.received(response)) backoff.reset();
    });
    call.on('error', (error) => again(error.message));
    call.on('end', () => again('the stream ended'));
  }

  connect();
  return () => {
    isClosed = true;
    cancel();
    stream?.cancel();
    client.close();
  };
}
