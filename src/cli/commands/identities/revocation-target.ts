import { InvalidArgumentError } from 'commander';
import { parseSpiffeId } from '#identity';
import type { RevocationTarget } from '#trust';
import { EXIT, ExitError } from '../../exit.ts';
import { parseDurationFlag } from '../../flags.ts';

/** What a name on the command line means; `issuedBefore` is an instant, or null for all there is. */
export function targetOf(
  what: string | undefined,
  options: {
    readonly issuedBefore: string | null;
    readonly trustDomain: string;
    readonly namespace: string;
  },
): RevocationTarget {
  const { issuedBefore, trustDomain, namespace } = options;
  if (what === undefined) {
    if (issuedBefore !== null) return { kind: 'all', issuedBefore };
    throw usage('name what to revoke, or give --issued-before');
  }
  const serial = serialOf(what);
  if (serial !== undefined) {
    if (issuedBefore === null) return { kind: 'serial', serial };
    throw usage('a serial number is one certificate: leave out --issued-before');
  }
  const path = what.startsWith('agent/') ? `palisade/${what}` : `ns/${namespace}/sa/${what}`;
  const id = what.startsWith('spiffe://') ? what : `spiffe://${trustDomain}/${path}`;
  const parsed = parseSpiffeId(id);
  if (!parsed.ok)
    throw usage(`\`${what}\` is neither a serial number nor an identity: ${parsed.error}`);
  const isAgent = parsed.value.path.startsWith('/palisade/agent/');
  return { kind: isAgent ? 'agent' : 'identity', id, issuedBefore };
}

/**
 * Refuses what nobody could take back: without its control plane, or its authority, a mesh is not told of the lift, and
 * neither gets a certificate to start with. As issued before an instant it is safe: each gets another one at once.
 */
export function refuseDeadEnd(target: RevocationTarget): void {
  if (target.kind !== 'identity' || target.issuedBefore !== null) return;
  if (!/^spiffe:\/\/[^/]+\/palisade\/(?:control|ca)$/.test(target.id)) return;
  throw new ExitError(
    EXIT.usage,
    `without \`${target.id}\` the mesh could not be told that this was lifted`,
    'add `--issued-before now`: whoever has a stolen key is refused, and the mesh goes on with a new one',
  );
}

// RFC 3339 with its time zone: what `Date.parse` takes besides, such as `12/11/2026`, means another day to others.
const INSTANT = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const CLOCK_SKEW_MS = 60_000;

/**
 * The instant of `--issued-before`: RFC 3339 or `now`; null where it was not given. SECURITY: not of the future, which would
 * revoke whatever is issued from now until then, the mesh's own certificates among it.
 */
export function parseInstantFlag(text: string | undefined, nowMs: number): string | null {
  if (text === undefined) return null;
  const ms = text === 'now' ? nowMs : INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw usage(`\`${text}\` is not an instant with its time zone, e.g. 2026-01-31T12:00:00Z`);
  }
  if (ms > nowMs + CLOCK_SKEW_MS) {
    throw usage(`\`${text}\` has not come yet: what is issued until then would be revoked too`);
  }
  return new Date(ms).toISOString();
}

/** Milliseconds of `--for`, or a usage error: what ends at once revokes nothing. */
export function parseForFlag(text: string): number {
  const ms = parseDurationFlag(text);
  if (ms <= 0 || ms > MAX_FOR_MS) {
    throw new InvalidArgumentError(
      'write how long it holds, e.g. 24h; without --for it does not end.',
    );
  }
  return ms;
}

// Instants end with the year 275760; nobody means a thousand years.
const MAX_FOR_MS = 1_000 * 365 * 86_400_000;

// Serial numbers are shown as hex; OpenSSL and browsers put colons in between.
function serialOf(text: string): string | undefined {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{16,40}$/.test(hex)) return undefined;
  return hex.replace(/^(00)+/, '');
}

function usage(message: string): ExitError {
  return new ExitError(EXIT.usage, message, 'see `palisade identity revoke --help`');
}
