import { parseClientHello } from '#protocol';
import type { ProxyContext } from './context.ts';
import type { Live } from './live.ts';
import type { BytePipe } from './pipe.ts';
import type { Failure } from './respond.ts';

/** The first message of TLS that is passed through: `bytes` are all that was read, to be sent on. */
export type HelloOutcome =
  | { readonly kind: 'hello'; readonly sni: string | undefined; readonly bytes: Buffer }
  | {
      readonly kind: 'refused';
      readonly sni: undefined;
      readonly failure: Failure;
      readonly bytes: Buffer;
    };

// Real ones are below 2 KiB and come in two or three pieces. SECURITY: each piece is copied and read
// anew with those before it, so a hello in a thousand pieces must stay cheap.
const MAX_BYTES = 16 * 1024;
const MAX_READS = 2_000;

/**
 * Reads the ClientHello with which a connection must begin, within the header time-out. The pipe is
 * paused then; a connection that ends before is forgotten.
 */
export function readClientHello(
  pipe: BytePipe,
  context: ProxyContext,
  done: (outcome: HelloOutcome) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  let reads = 0;
  const settle = (outcome: HelloOutcome): void => {
    context.live.remove(waiting);
    pipe.pause();
    done(outcome);
  };
  const refuse = (detail: string): void =>
    settle({ kind: 'refused', sni: undefined, failure: { kind: 'bad_request', detail }, bytes });
  const gone = (): void => {
    context.live.remove(waiting);
    pipe.destroy();
  };
  const waiting: Live = {
    deadlineAt: context.live.now + context.timeouts().headerMs,
    cutAt: 0,
    manner: 'stream',
    expire: () => refuse('client_hello_timeout'),
    // It is judged by what it asks for, once that is known.
    judge: () => undefined,
    cut: gone,
    drain: gone,
    destroy: gone,
  };
  context.live.add(waiting);
  pipe.attach({
    onData(chunk) {
      // The chunk is lent: gathered until the message is whole, of which the reader bounds the size.
      bytes = Buffer.concat([bytes, chunk]);
      if (++reads > MAX_READS || bytes.length > MAX_BYTES) return refuse('client_hello_too_large');
      const hello = parseClientHello(bytes);
      if (hello.ok) settle({ kind: 'hello', sni: hello.value.sni, bytes });
      else if (hello.error !== 'more') refuse(`client_hello_${hello.error}`);
    },
    onEnd: gone,
    onDrain: () => undefined,
    onClose: gone,
  });
  pipe.resume();
}
