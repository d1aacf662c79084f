import { InvalidArgumentError } from 'commander';
import { parseDuration } from '#lib';
import type { UpstreamOption } from './context.ts';

/** A port number from 0 to 65535, or a usage error. */
export function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new InvalidArgumentError('write a port number from 0 to 65535.');
  }
  return Number(text);
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

/** A duration in milliseconds from `30s`, `5m`, `1h30m`, or a usage error. */
export function parseDurationFlag(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok) throw new InvalidArgumentError(`${duration.error}.`);
  return duration.value;
}
