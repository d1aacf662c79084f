import type { ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import {
  createMessage,
  IssueRefusalSchema,
  type IssueRequest,
  type IssueResponse,
  IssueResponseSchema,
  type MessageStream,
} from '#wire';
import { respondTo, type ServiceOptions } from './answer.ts';
import { issueJwtSvid } from './answer-jwt.ts';
import { issueSvid } from './answer-svid.ts';
import type { Caller } from './caller.ts';

type Answer = IssueResponse['response'];

// SECURITY: an agent that asks without end, or reads no answers, makes us hold so many and is read no further.
const MAX_OPEN = 256;

/**
 * Answers an agent's requests on a connection of theirs. INVARIANT: each goes the way of a call of its own, who asks
 * included, so a connection that outlives its certificate, or is revoked, is refused at its next request.
 */
export function serveIssueStream(
  options: ServiceOptions,
  stream: MessageStream<IssueRequest, IssueResponse>,
  caller: () => Caller,
): void {
  let open = 0;
  let isBlocked = false;

  function answered(id: number, response: Answer): void {
    open--;
    isBlocked = !stream.write(createMessage(IssueResponseSchema, { id, response }));
    proceed();
  }

  function proceed(): void {
    if (!isBlocked && open < MAX_OPEN && stream.isPaused()) stream.resume();
  }

  stream.on('data', (request) => {
    open++;
    if (isBlocked || open >= MAX_OPEN) stream.pause();
    answer(options, caller, request, (response) => answered(request.id, response));
  });
  stream.on('drain', () => {
    isBlocked = false;
    proceed();
  });
  stream.on('error', () => {
    // Whoever asked is gone, and finds out by itself; what is under way goes nowhere.
  });
}

function answer(
  options: ServiceOptions,
  caller: () => Caller,
  { request }: IssueRequest,
  done: (response: Answer) => void,
): void {
  switch (request.case) {
    case 'x509Svid':
      respondTo(
        options,
        'IssueX509Svid',
        () => issueSvid(options, request.value, caller()),
        (error, value) =>
          done(error ? refusal(error) : { case: 'x509Svid', value: value as never }),
      );
      return;
    case 'jwtSvid':
      respondTo(
        options,
        'IssueJwtSvid',
        () => issueJwtSvid(options, request.value, caller()),
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
