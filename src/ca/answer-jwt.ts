import { parseSpiffeId } from '#identity';
import { ok, type Result } from '#lib';
import { encodeEnvelope } from '#trust';
import {
  createMessage,
  type FetchJwtKeysResponse,
  FetchJwtKeysResponseSchema,
  type FetchRedactionKeysResponse,
  FetchRedactionKeysResponseSchema,
  type IssueJwtSvidRequest,
  type JwtSvidResponse,
  JwtSvidResponseSchema,
} from '#wire';
import { requireModestCaller, requireRole, type ServiceOptions } from './answer.ts';
import type { Caller } from './caller.ts';
import { decideJwtSvid } from './check.ts';
import { meshRole } from './mesh-identity.ts';
import { decidePatiently, revokedAlready } from './patience.ts';
import { type Refusal, refuse } from './refusal.ts';

/** IssueJwtSvid: a token under the same registrations as certificates. */
export async function issueJwtSvid(
  options: ServiceOptions,
  { spiffeId, audience, selectors }: IssueJwtSvidRequest,
  from: Caller,
): Promise<Result<JwtSvidResponse, Refusal>> {
  const caller = requireModestCaller(options, from);
  if (!caller.ok) return caller;
  const id = parseSpiffeId(spiffeId);
  if (!id.ok) return refuse('invalid', id.error);
  // By the asker too, as for certificates; and apart from them, so that many tokens keep no certificate from renewal.
  if (!options.tokens.take(`${caller.value.text} ${id.value.text}`)) {
    return refuse(
      'exhausted',
      `tokens of \`${id.value.text}\` are asked for too often: try again in a few seconds`,
    );
  }
  const host = options.hosts.evidenceOf(caller.value);
  const request = { caller: caller.value, host, id: id.value, audience, selectors };
  const grant = await decidePatiently({
    options,
    isPatient: meshRole(caller.value) === 'agent',
    id: id.value.text,
    decide: (registrations) => decideJwtSvid(request, registrations),
  });
  if (!grant.ok) return grant;
  const refused = await revokedAlready(options, grant.value);
  if (refused !== undefined) return refused;
  const issuer = options.policy.jwtIssuer();
  const issued = await options.issueJwt({ ...grant.value, issuer });
  if (!issued.ok) return issued;
  const { token, entry, keysSequence } = issued.value;
  return ok(
    createMessage(JwtSvidResponseSchema, {
      token,
      issuedAtMs: BigInt(entry.timeMs),
      expiresAtMs: BigInt(entry.expiresAtMs),
      keysSequence: BigInt(keysSequence),
      logNumber: BigInt(entry.number),
      logHash: entry.hash,
    }),
  );
}

/** FetchJwtKeys: the signed key document, for processes of the mesh. */
export function fetchJwtKeys(
  options: ServiceOptions,
  from: Caller,
): Result<FetchJwtKeysResponse, Refusal> {
  const caller = requireRole(options, from, {
    roles: ['ca', 'control', 'agent'],
    refusal: 'is not of the mesh itself',
  });
  if (!caller.ok) return caller;
  options.jwtKeys.current();
  const envelope = encodeEnvelope(options.jwtKeys.envelope());
  return ok(createMessage(FetchJwtKeysResponseSchema, { envelope }));
}

/**
 * FetchRedactionKeys: the keys of hashes in records. SECURITY: for agents alone. The control plane has the records, and
 * could try every address in a dictionary if it had the key.
 */
export function fetchRedactionKeys(
  options: ServiceOptions,
  from: Caller,
): Result<FetchRedactionKeysResponse, Refusal> {
  const caller = requireRole(options, from, {
    roles: ['agent'],
    refusal: 'is no agent: it may not have the keys of hashes in records',
  });
  if (!caller.ok) return caller;
  const keys = options.redactionKeys.current().map((each) => ({ ...each }));
  return ok(createMessage(FetchRedactionKeysResponseSchema, { keys }));
}
