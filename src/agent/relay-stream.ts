import {
  type ClientDuplexStream,
  Metadata,
  type ServerDuplexStream,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Result } from '#lib';

/** A gRPC status with which a call is refused. */
export type CallRefusal = { readonly code: status; readonly details: string };

/** Ends a server call with a status. */
export function refuseCall(
  call: { readonly emit: (event: 'error', value: CallRefusal) => unknown },
  refusal: CallRefusal,
): void {
  call.emit('error', refusal);
}

/**
 * Relays one stream in both directions until either side ends it. Requests pass through `rewrite`, which may refuse
 * the whole stream. INVARIANT: no more than a stream's own buffer is held: each side waits for the other to drain.
 */
export function relayStream<Request, Response>(options: {
  readonly down: ServerDuplexStream<Request, Response>;
  readonly up: ClientDuplexStream<Request, Response>;
  readonly rewrite: (request: Request) => Result<Request, CallRefusal>;
  readonly onEnd: () => void;
}): void {
  const { down, up, rewrite } = options;
  let isOver = false;
  const finish = (refusal?: CallRefusal) => {
    if (isOver) return;
    isOver = true;
    up.cancel();
    if (!down.cancelled) {
      if (refusal === undefined) down.end();
      else refuseCall(down, refusal);
    }
    options.onEnd();
  };
  down.on('data', (request: Request) => {
    if (isOver) return;
    const rewritten = rewrite(request);
    if (!rewritten.ok) finish(rewritten.error);
    else if (!up.write(rewritten.value)) down.pause();
  });
  up.on('drain', () => down.resume());
  up.on('data', (response: Response) => {
    if (!isOver && !down.write(response)) up.pause();
  });
  down.on('drain', () => up.resume());
  up.on('metadata', () => {
    if (!isOver) down.sendMetadata(new Metadata());
  });
  // A goodbye is passed on as one: the control plane forgets this workload's endpoints at once. A stream that was
  // reset looks like one for a moment, hence the second look.
  down.on('end', () => {
    setImmediate(() => {
      if (!isOver && !down.cancelled) up.end();
    });
  });
  down.on('cancelled', () => finish());
  down.on('error', () => finish());
  up.on('end', () => finish());
  up.on('error', ({ code, details }: ServiceError) =>
    finish({ code: code ?? status.UNAVAILABLE, details: `the control plane: ${details}` }),
  );
}
