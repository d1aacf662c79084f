import { once } from 'node:events';
import {
  AckSchema,
  createMessage,
  Distribution,
  HelloSchema,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
} from '#wire';
import type { Fixture } from './control-fixture.ts';

/** A subscriber whose every message a test can wait for, in order. */
export type TestSubscriber = {
  /** The next message of a kind; fails after two seconds without. */
  readonly next: <K extends Kind>(kind: K) => Promise<Extract<Message, { case: K }>['value']>;
  /** Messages of a kind that arrived and nobody waited for. */
  readonly waiting: (kind: Kind) => number;
  readonly ack: (ack: Parameters<typeof createMessage<typeof AckSchema>>[1]) => void;
  readonly lookup: (namespace: string, kind: string, name: string) => void;
  readonly send: (request: SubscribeRequest) => void;
  /** A clean goodbye. */
  readonly end: () => void;
  /** As when the process is killed. */
  readonly cancel: () => void;
  /** Resolves to the error the stream ended with. */
  readonly failed: Promise<Error & { readonly code?: number }>;
};

type Message = SubscribeResponse['message'];
type Kind = Exclude<Message['case'], undefined>;
type HelloInit = Parameters<typeof createMessage<typeof HelloSchema>>[1];

const PATIENCE_MS = 2_000;

/** Connects through an agent and says hello. */
export function subscribe(
  mesh: Fixture,
  hello: HelloInit | undefined,
  agent?: string,
): TestSubscriber {
  const client = mesh.grpc(Distribution, agent);
  const stream = client.bidi(Distribution.method.subscribe);
  const arrived = new Map<Kind, Message[]>();
  let wake = (): void => {};
  stream.on('data', ({ message }: SubscribeResponse) => {
    if (message.case === undefined) return;
    arrived.set(message.case, [...(arrived.get(message.case) ?? []), message]);
    wake();
  });
  const failed = once(stream, 'error').then(([error]) => error as Error & { code?: number });
  const send = (request: SubscribeRequest): void => {
    stream.write(request);
  };
  if (hello !== undefined) {
    const value = createMessage(HelloSchema, { kind: 'proxy', trustRootVersion: 1n, ...hello });
    send(createMessage(SubscribeRequestSchema, { message: { case: 'hello', value } }));
  }
  return {
    async next(kind) {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        const message = arrived.get(kind)?.shift();
        if (message !== undefined) return message.value as never;
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`no ${kind} within ${PATIENCE_MS} ms`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
    waiting: (kind) => arrived.get(kind)?.length ?? 0,
    ack(ack) {
      const value = createMessage(AckSchema, ack);
      send(createMessage(SubscribeRequestSchema, { message: { case: 'ack', value } }));
    },
    lookup(namespace, kind, name) {
      const message = { case: 'lookup', value: { namespace, kind, name } } as const;
      send(createMessage(SubscribeRequestSchema, { message }));
    },
    send,
    end: () => stream.end(),
    cancel: () => stream.cancel(),
    failed,
  };
}
