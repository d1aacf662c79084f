import type { handleBidiStreamingCall, ServerDuplexStream, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import {
  createMessage,
  IssueRefusalSchema,
  type IssueRequest,
  type IssueResponse,
  IssueResponseSchema,
} from '#wire';
import { respondTo, type ServiceOptions } from './answer.ts';
import { issueJwtSvid } from './answer-jwt.ts';
import { issueSvid } from './answer-svid.ts';

type Answer = IssueResponse['response'];
type IssueCall = ServerDuplexStream<IssueRequest, IssueResponse>;

// SECURITY: an agent that asks without end, or reads no answers, makes us hold so many and is read no further.
const MAX_OPEN = 256;

/**
 * Issue: requests of one agent on one stream. INVARIANT: each goes the way of a call of its own, who asks included, so a
 * stream that outlives its certificate, or is revoked, is refused at its next request.
 */
export function createIssueStream(
  options: ServiceOptions,
): handleBidiStreamingCall<IssueRequest, IssueResponse> {
  return (call) => {
    let open = 0;
    let isBlocked = false;
    let isEnding = false;
    let isOver = false;

    function answered(id: number, response: Answer): void {
      open--;
      if (isOver) return;
      isBlocked = !call.write(createMessage(IssueResponseSchema, { id, response }));
      proceed();
    }

    function proceed(): void {
      if (isEnding && open === 0) call.end();
      else if (!isBlocked && open < MAX_OPEN && call.isPaused()) call.resume();
    }

    const over = () => {
      isOver = true;
    };
    call.on('data', (request: IssueRequest) => {
      open++;
      if (isBlocked || open >= MAX_OPEN) call.pause();
      answer(options, call, request, (response) => answered(request.id, response));
    });
    call.on('drain', () => {
      isBlocked = false;
      proceed();
    });
    call.on('end', () => {
      isEnding = true;
      proceed();
    });
    call.on('cancelled', over);
    call.on('error', over);
  };
}

function answer(
  options: ServiceOptions,
  call: IssueCall,
  { request }: IssueRequest,
  done: (response: Answer) => void,
): void {
  switch (request.case) {
    case 'x509Svid':
      respondTo(
        options,
        'IssueX509Svid',
        () => issueSvid(options, request.value, options.callerOf(call)),
        (error, value) =>
          done(error ? refusal(error) : { case: 'x509Svid', value: value as never }),
      );
      return;
    case 'jwtSvid':
      respondTo(
        options,
        'IssueJwtSvid',
        () => issueJwtSvid(options, request.value, options.callerOf(call)),
        (error, value) => done(error ? refusal(error) : { case: 'jwtSvid', value: value as never }),
      );
      return;
    default:
      done(refusal({ code: status.INVALID_ARGUMENT, details: 'nothing that can be issued' }));
  }
}

function refusal({ code, details }: Partial<ServiceError>): Answer {
  const value = { code: code ?? status.INTERNAL, details: details ?? '' };
  return { case: 'refusal', value: createMessage(IssueRefusalSchema, value) };
}
