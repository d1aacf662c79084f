import type { Certificate } from './certificate.ts';
import { DerReader, TAG } from './der-read.ts';
import type { NameConstraints } from './extensions.ts';
import { type GeneralNames, NAME_TAG, NO_NAMES } from './general-names.ts';

type Matcher<T> = (name: T, constraint: T) => boolean | undefined;

// emailAddress as an attribute of the subject counts as an email name (RFC 5280 section 4.2.1.10).
const EMAIL_ATTRIBUTE = Buffer.from('06092a864886f70d010901', 'hex');

/**
 * Whether every name of `certificate` satisfies an issuer's constraints (RFC 5280 4.2.1.10).
 * SECURITY: a constraint of a kind that is not evaluated here, or that makes no sense, refuses
 * every certificate that has a name of that kind.
 */
export function satisfiesConstraints(certificate: Certificate, by: NameConstraints): boolean {
  const names = certificate.extensions.subjectAltName ?? NO_NAMES;
  const { permitted, excluded } = by;
  return (
    allows(names.uris, permitted.uris, excluded.uris, uriMatches) &&
    allows(names.dns, permitted.dns, excluded.dns, dnsMatches) &&
    allows(names.ips, permitted.ips, excluded.ips, ipMatches) &&
    allowsDirectories(certificate, names, by) &&
    allowsOthers(certificate, names, by)
  );
}

function allows<T>(
  names: readonly T[],
  permitted: readonly T[],
  excluded: readonly T[],
  matches: Matcher<T>,
): boolean {
  return names.every(
    (name) =>
      // A match that cannot be told (undefined) neither permits nor clears.
      excluded.every((constraint) => matches(name, constraint) === false) &&
      (permitted.length === 0 ||
        permitted.some((constraint) => matches(name, constraint) === true)),
  );
}

/** A host, or with a leading dot all hosts below it. The host of a SPIFFE ID is its trust domain. */
function uriMatches(uri: string, constraint: string): boolean | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]?.toLowerCase();
  const host = authority?.replace(/^.*@/, '').replace(/:\d*$/, '');
  if (host === undefined || host === '') return undefined;
  const wanted = constraint.toLowerCase();
  if (wanted === '') return true;
  return wanted.startsWith('.') ? host.endsWith(wanted) : host === wanted;
}

/** A name, and all names made by adding labels on its left. */
function dnsMatches(name: string, constraint: string): boolean | undefined {
  if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)) return undefined;
  if (constraint === '') return true;
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(constraint)) return undefined;
  const [has, wanted] = [name.toLowerCase(), constraint.toLowerCase()];
  return has === wanted || has.endsWith(`.${wanted}`);
}

/** An address block: as many mask bytes as address bytes behind them. */
function ipMatches(ip: Uint8Array, block: Uint8Array): boolean | undefined {
  if (ip.length !== 4 && ip.length !== 16) return undefined;
  if (block.length !== 8 && block.length !== 32) return undefined;
  const size = block.length / 2;
  const bits = [...block.subarray(size)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  if (bits.includes('01')) return undefined;
  if (size !== ip.length) return false;
  return ip.every((byte, i) => ((byte ^ (block[i] ?? 0)) & (block[size + i] ?? 0)) === 0);
}

/**
 * Names that are equal byte for byte are equal, so a permitted prefix can be found that way; that
 * a name is *not* excluded cannot, since spellings differ, so any exclusion refuses.
 */
function allowsDirectories(
  certificate: Certificate,
  names: GeneralNames,
  { permitted, excluded }: NameConstraints,
): boolean {
  const subject = isEmptyName(certificate.subject) ? [] : [certificate.subject];
  const directories = [...subject, ...names.directories];
  if (directories.length === 0) return true;
  if (excluded.directories.length > 0) return false;
  if (permitted.directories.length === 0) return true;
  return directories.every((name) =>
    permitted.directories.some((prefix) => nameBody(name).indexOf(nameBody(prefix)) === 0),
  );
}

function allowsOthers(
  certificate: Certificate,
  names: GeneralNames,
  { permitted, excluded }: NameConstraints,
): boolean {
  const constrained = new Set([...permitted.others, ...excluded.others]);
  const hasEmail =
    names.others.has(NAME_TAG.email) || certificate.subject.includes(EMAIL_ATTRIBUTE);
  if (hasEmail && constrained.has(NAME_TAG.email)) return false;
  return [...names.others].every((tag) => !constrained.has(tag));
}

function isEmptyName(name: Uint8Array): boolean {
  return name.length === 2;
}

function nameBody(name: Uint8Array): Buffer {
  return new DerReader(name).body(TAG.sequence);
}
