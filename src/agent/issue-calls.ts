import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ClientDuplexStream, status } from '@grpc/grpc-js';
import type { WorkloadIdentity } from '#identity';
import {
  createMessage,
  Issuance,
  type IssueRequest,
  IssueRequestSchema,
  type IssueResponse,
  type JwtSvidResponse,
  type X509SvidResponse,
} from '#wire';
import type { ChannelCall, ChannelPool } from './channel-pool.ts';
import type { CallRefusal } from './relay-stream.ts';

/** What is asked for, as IssueRequest has it. */
export type Asked = NonNullable<MessageInitShape<typeof IssueRequestSchema>['request']>;

/** Requests to the authority on one stream, opened when it is needed. */
export type IssueCalls = {
  /** Rejects with a gRPC error, as a call of its own would. */
  readonly x509: (as: WorkloadIdentity, asked: Asked) => Promise<X509SvidResponse>;
  readonly jwt: (as: WorkloadIdentity, asked: Asked) => Promise<JwtSvidResponse>;
  readonly close: () => void;
};

type Answer = IssueResponse['response'];
type Waiting = {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: IssueError) => void;
  readonly timer: NodeJS.Timeout;
};
type Stream = {
  /** Whether requests of whoever was given this channel may go here. */
  readonly isOf: (call: ChannelCall) => boolean;
  readonly ask: (asked: Asked) => Promise<Answer>;
  /** Asks no more; what was asked is still answered. */
  readonly finish: () => void;
};

const ANSWERED_WITHIN_MS = 10_000;
// An open stream keeps its connection busy with pings.
const IDLE_MS = 30_000;

/** An answer that is none, with the status that a call would have ended with. */
class IssueError extends Error implements CallRefusal {
  readonly code: status;
  readonly details: string;

  constructor({ code, details }: CallRefusal) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** Creates the calls; a new identity or new roots mean a new channel, and so a new stream. */
export function createIssueCalls(pool: Pick<ChannelPool, 'acquire'>): IssueCalls {
  let current: Stream | undefined;

  function ask(as: WorkloadIdentity, asked: Asked): Promise<Answer> {
    const call = pool.acquire(Issuance, as);
    if (current?.isOf(call)) {
      call.release();
      return current.ask(asked);
    }
    current?.finish();
    current = openStream(call);
    return current.ask(asked);
  }

  return {
    async x509(as, asked) {
      const answer = await ask(as, asked);
      if (answer.case === 'x509Svid') return answer.value;
      throw refusalOf(answer);
    },
    async jwt(as, asked) {
      const answer = await ask(as, asked);
      if (answer.case === 'jwtSvid') return answer.value;
      throw refusalOf(answer);
    },
    close: () => current?.finish(),
  };
}

function refusalOf(answer: Answer): IssueError {
  if (answer.case === 'refusal') return new IssueError(answer.value);
  return new IssueError({
    code: status.INTERNAL,
    details: 'the authority answered something else',
  });
}

function openStream(channel: ChannelCall): Stream {
  const { client } = channel;
  const stream: ClientDuplexStream<IssueRequest, IssueResponse> = client.bidi(
    Issuance.method.issue,
  );
  const waiting = new Map<number, Waiting>();
  let asked = 0;
  let isOver = false;
  let isEnding = false;
  let idle: NodeJS.Timeout | undefined;

  function take(id: number): Waiting | undefined {
    const found = waiting.get(id);
    waiting.delete(id);
    clearTimeout(found?.timer);
    if (waiting.size === 0 && isEnding) stream.end();
    else if (waiting.size === 0) idle = setTimeout(finish, IDLE_MS).unref();
    return found;
  }

  function over(refusal: CallRefusal): void {
    if (isOver) return;
    isOver = true;
    for (const id of Array.from(waiting.keys())) take(id)?.reject(new IssueError(refusal));
    clearTimeout(idle);
    channel.release();
  }

  function finish(): void {
    if (isEnding) return;
    isEnding = true;
    clearTimeout(idle);
    if (waiting.size === 0) stream.end();
  }

  stream.on('data', ({ id, response }: IssueResponse) => take(id)?.resolve(response));
  stream.on('error', ({ code, details }: CallRefusal) => over({ code, details }));
  stream.on('end', () => over({ code: status.UNAVAILABLE, details: 'the authority went away' }));
  return {
    isOf: (call) => !isOver && !isEnding && call.client === client,
    ask(request) {
      clearTimeout(idle);
      const id = ++asked;
      return new Promise((resolve, reject) => {
        const late = { code: status.DEADLINE_EXCEEDED, details: 'the authority does not answer' };
        const timer = setTimeout(
          () => take(id)?.reject(new IssueError(late)),
          ANSWERED_WITHIN_MS,
        ).unref();
        waiting.set(id, { resolve, reject, timer });
        stream.write(createMessage(IssueRequestSchema, { id, request }));
      });
    },
    finish,
  };
}
