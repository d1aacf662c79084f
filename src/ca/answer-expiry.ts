import { ok, type Result } from '#lib';
import { MAX_JOIN_TOKEN_TTL_MS } from '#trust';
import {
  createMessage,
  type ListExpiriesResponse,
  ListExpiriesResponseSchema,
  type NoteJoinTokenRequest,
  type NoteJoinTokenResponse,
  NoteJoinTokenResponseSchema,
} from '#wire';
import { requireRole, type ServiceOptions } from './answer.ts';
import type { Caller } from './caller.ts';
import { type Refusal, refuse } from './refusal.ts';

/** ListExpiries: what the authority has that expires, for the control plane. */
export function listAllExpiries(
  options: ServiceOptions,
  from: Caller,
): Result<ListExpiriesResponse, Refusal> {
  const caller = requireRole(options, from, {
    roles: ['control'],
    refusal: 'may not list what expires',
  });
  if (!caller.ok) return caller;
  const expiries = options.expiries().map(({ kind, name, expiresAt, actAt, fix }) => ({
    kind,
    name,
    expiresAtMs: BigInt(Math.round(expiresAt)),
    actAtMs: BigInt(Math.round(actAt ?? 0)),
    fix,
  }));
  return ok(createMessage(ListExpiriesResponseSchema, { expiries }));
}

/** NoteJoinToken: that an author made one, so that it is listed until it is used or expires. */
export function noteJoinToken(
  options: ServiceOptions,
  { id, host, expiresAtMs }: NoteJoinTokenRequest,
  from: Caller,
): Result<NoteJoinTokenResponse, Refusal> {
  const caller = requireRole(options, from, {
    roles: ['control'],
    refusal: 'may not tell of join tokens',
  });
  if (!caller.ok) return caller;
  const notedAt = options.clock();
  const expiresAt = Number(expiresAtMs);
  const isOne =
    /^[0-9a-f]{32}$/.test(id) &&
    /^[A-Za-z0-9._-]{1,128}$/.test(host) &&
    expiresAt > notedAt &&
    expiresAt <= notedAt + MAX_JOIN_TOKEN_TTL_MS + CLOCK_SKEW_MS;
  if (!isOne) return refuse('invalid', 'not the id, host and end of a join token');
  if (!options.tokenBook.note({ id, host, expiresAt, notedAt })) {
    return refuse('exhausted', 'too many join tokens wait for their hosts');
  }
  return ok(createMessage(NoteJoinTokenResponseSchema, {}));
}

const CLOCK_SKEW_MS = 60_000;
