import { InvalidArgumentError } from 'commander';
import { parseDuration } from '#lib';
import type { UpstreamOption } from './context.ts';
import { grpcCondition } from './grpc-codes.ts';

/** A port number from 0 to 65535, or a usage error. */
export function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new InvalidArgumentError('write a port number from 0 to 65535.');
  }
  return Number(text);
}

/** A whole number from 1 on, or a usage error. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError('write a whole number from 1 on.');
  return Number(text);
}

/** An HTTP status as filters take it, with a sign before it or without, or a usage error. */
export function parseStatus(text: string): string {
  if (/^(?:!|>=|<=|>|<)?(?:\d{1,3}|null)$/.test(text)) return text;
  throw new InvalidArgumentError('write a status such as 403, !200 or >=500.');
}

/** An id as records have it, in lower case, or a usage error: what an empty variable leaves is none. */
export function parseId(text: string): string {
  const id = text.trim().toLowerCase();
  if (id !== '') return id;
  throw new InvalidArgumentError('write an id, which is not empty.');
}

/** The beginning of a path, or a usage error: a record's has no host, and what comes before `/` would be a sign of filters. */
export function parsePathPrefix(text: string): string {
  if (text.startsWith('/') || text === '*') return text;
  throw new InvalidArgumentError('write how the path begins, from its first `/` on.');
}

/** As `parseStatus` for gRPC's statuses, which may be named; what is returned has their numbers. */
export function parseGrpcStatus(text: string): string {
  const condition = grpcCondition(text);
  if (/^(?:!|>=|<=|>|<)?(?:\d{1,2}|null)$/.test(condition)) return condition;
  throw new InvalidArgumentError('write a gRPC status such as 14, UNAVAILABLE, !OK or >=13.');
}

// RFC 1123 2.1, as names of services and namespaces in resources.
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The name of a service or a namespace, or a usage error. */
export function parseName(text: string): string {
  if (LABEL.test(text)) return text;
  throw new InvalidArgumentError('write lower-case letters, digits and `-`, at most 63.');
}

/** Adds one `NAME[.NS][:PORT]=LOCALPORT` to those before it, or is a usage error. */
export function collectUpstream(
  text: string,
  before: readonly UpstreamOption[] = [],
): readonly UpstreamOption[] {
  const match = /^([a-z0-9.-]{1,253})(?::(\d{1,5}))?=(\d{1,5})$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError('write SERVICE[:PORT]=LOCALPORT, e.g. redis:6379=6379.');
  const port = match[2] === undefined ? undefined : parsePort(match[2]);
  return [...before, { service: match[1] ?? '', port, localPort: parsePort(match[3] ?? '') }];
}

/** Adds one word to those before it. */
export function collectWord(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Adds one `KEY=VALUE` to those before it, or is a usage error. */
export function collectPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('write KEY=VALUE.');
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** Adds one `NAME=VALUE` to the lines of headers before it, or is a usage error. */
export function collectHeader(
  text: string,
  before: Readonly<Record<string, readonly string[]>> = {},
): Readonly<Record<string, readonly string[]>> {
  const [[name, value] = ['', '']] = Object.entries(collectPair(text));
  return { ...before, [name]: [...(before[name] ?? []), value] };
}

/**
 * Adds one `NAME=VALUE` or `NAME[NAME]=VALUE` to the claims before it, or is a usage error. A claim
 * given twice is a list.
 */
export function collectClaim(
  text: string,
  before: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const match = /^([^=[\]]+)((?:\[[^\][]+\])*)=(.*)$/s.exec(text);
  if (match === null) throw new InvalidArgumentError('write NAME=VALUE, or NAME[NAME]=VALUE.');
  const rest = match[2] ?? '';
  const path = [match[1] ?? '', ...(rest === '' ? [] : rest.slice(1, -1).split(']['))];
  return withClaim(before, path, match[3] ?? '');
}

function withClaim(
  claims: Readonly<Record<string, unknown>>,
  [name = '', ...rest]: readonly string[],
  value: string,
): Readonly<Record<string, unknown>> {
  const known = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (rest.length > 0) {
    const isObject = typeof known === 'object' && known !== null && !Array.isArray(known);
    const inner = isObject ? (known as Readonly<Record<string, unknown>>) : {};
    return { ...claims, [name]: withClaim(inner, rest, value) };
  }
  if (known === undefined) return { ...claims, [name]: value };
  return { ...claims, [name]: Array.isArray(known) ? [...known, value] : [known, value] };
}

/** A duration in milliseconds from `30s`, `5m`, `1h30m`, or a usage error. */
export function parseDurationFlag(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok) throw new InvalidArgumentError(`${duration.error}.`);
  return duration.value;
}

const MIN_AUDIT_RETENTION_MS = 86_400_000;

/** How long audit records are kept, in milliseconds: a day at least, or a usage error. */
export function parseAuditRetention(text: string): number {
  const ms = parseDurationFlag(text);
  // SECURITY: nobody makes a log forget an afternoon by a flag that looks harmless.
  if (ms < MIN_AUDIT_RETENTION_MS) throw new InvalidArgumentError('write 24h or more.');
  return ms;
}

/** `HOST:PORT`, an IPv6 address in brackets, or a usage error. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const match = /^(\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})$/.exec(text);
  if (match === null) throw new InvalidArgumentError('write HOST:PORT, e.g. 10.0.0.7:7704.');
  const host = (match[1] ?? '').replaceAll(/^\[|\]$/g, '');
  return { host, port: parsePort(match[2] ?? '') };
}
