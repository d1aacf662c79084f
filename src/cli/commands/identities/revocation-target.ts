import { parseSpiffeId } from '#identity';
import type { RevocationTarget } from '#trust';
import { EXIT, ExitError } from '../../exit.ts';

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

/** The instant of `--issued-before`: RFC 3339 or `now`; null where it was not given. */
export function parseInstantFlag(text: string | undefined, nowMs: number): string | null {
  if (text === undefined) return null;
  const ms = text === 'now' ? nowMs : Date.parse(text);
  if (Number.isNaN(ms)) throw usage(`\`${text}\` is not an instant, e.g. 2026-01-31T12:00:00Z`);
  return new Date(ms).toISOString();
}

// Serial numbers are shown as hex; OpenSSL and browsers put colons in between.
function serialOf(text: string): string | undefined {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{16,40}$/.test(hex)) return undefined;
  return hex.replace(/^(00)+/, '');
}

function usage(message: string): ExitError {
  return new ExitError(EXIT.usage, message, 'see `palisade identity revoke --help`');
}
