import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import type { Result } from '#lib';
import type { CallRefusal, GrpcCall } from '#wire';

/**
 * Relays one stream in both directions until either side ends it. Requests pass through `rewrite`, which may refuse
 * the whole stream. INVARIANT: no more than a stream's own buffer is held: each side waits for the other to drain.
 */
export function relayStream<Request, Response>(options: {
  readonly down: GrpcCall<Request, Response>;
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
      else down.refuse(refusal);
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
    if (!isOver) down.sendMetadata();
  });
  // A goodbye is passed on as one: the control plane forgets this workload's endpoints at once.
  down.on('end', () => {
    if (!isOver) up.end();
  });
  down.on('cancelled', () => finish());
  up.on('end', () => finish());
  up.on('error', ({ code, details }: ServiceError) =>
    finish({ code: code ?? status.UNAVAILABLE, details: `the control plane: ${details}` }),
  );
}
