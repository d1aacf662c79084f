import type { MessageInitShape } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import type { WorkloadIdentity } from '#identity';
import {
  type CallRefusal,
  createMessage,
  ISSUE_CLIENT,
  Issuance,
  type IssueRequest,
  IssueRequestSchema,
  type IssueResponse,
  type JwtSvidResponse,
  type MessageStream,
  openMessageStream,
  type X509SvidResponse,
} from '#wire';
import type { ChannelCall, ChannelPool } from './channel-pool.ts';

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

/** Opens the authority's stream on a connection of its own, or a test's. */
export type OpenStream = (
  target: ChannelCall['target'],
) => MessageStream<IssueResponse, IssueRequest>;

/** Creates the calls; a new identity or new roots mean a new channel, and so a new stream. */
export function createIssueCalls(
  pool: Pick<ChannelPool, 'acquire'>,
  open: OpenStream = (target) => openMessageStream(target, ISSUE_CLIENT),
): IssueCalls {
  let current: Stream | undefined;

  function ask(as: WorkloadIdentity, asked: Asked): Promise<Answer> {
    const call = pool.acquire(Issuance, as);
    if (current?.isOf(call)) {
      call.release();
      return current.ask(asked);
    }
    current?.finish();
    current = openStream(call, open);
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

function openStream(channel: ChannelCall, open: OpenStream): Stream {
  const { target } = channel;
  const stream = open(target);
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

  stream.on('data', ({ id, response }) => take(id)?.resolve(response));
  stream.on('error', over);
  stream.on('end', () => over({ code: status.UNAVAILABLE, details: 'the authority went away' }));
  return {
    isOf: (call) => !isOver && !isEnding && call.target === target,
    ask(request) {
      clearTimeout(idle);
      const id = ++asked;
      return new Promise((resolve, reject) => {
        const late = { code: status.DEADLINE_EXCEEDED, details: 'the authority does not answer' };
        const timer = setTimeout(() => {
          // The connection may be one of which only we believe that it lives: the next request gets another.
          finish();
          take(id)?.reject(new IssueError(late));
        }, ANSWERED_WITHIN_MS).unref();
        waiting.set(id, { resolve, reject, timer });
        stream.write(createMessage(IssueRequestSchema, { id, request }));
      });
    },
    finish,
  };
}
