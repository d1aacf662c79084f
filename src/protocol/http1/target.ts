import {
  canonicalPath,
  fail,
  ok,
  type PathNormalization,
  type PathProblem,
  parseIp,
  type Result,
} from '#lib';
import { CLASS, HOST_NAME, PLAIN_PATH } from './characters.ts';
import type { Http1Error } from './messages.ts';

/** An authority in lower case, without trailing dot; `port` where one was given. */
export type Authority = { readonly name: string; readonly port: number | undefined };

/** The path's canonical form (`#lib`), or the reason counted for having none. */
export function readPath(path: string, mode: PathNormalization): Result<string, Http1Error> {
  const canonical = canonicalPath(path, mode);
  return canonical.ok ? canonical : fail(PATH_ERRORS[canonical.error]);
}

/** Whether these bytes are canonical in every mode; a fast and cautious test. */
export function isPlainPath(bytes: Buffer, start: number, end: number): boolean {
  let previous = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x2f ? previous === 0x2f : byte === 0x2e ? previous === 0x2f : !isPlain(byte)) {
      return false;
    }
    previous = byte;
  }
  return bytes[start] === 0x2f;
}

/**
 * Parses `name`, `name:port`, `1.2.3.4`, `[::1]:80` (RFC 9110 section 7.2, without userinfo and
 * escapes). Stricter than the grammar: an empty name or port is refused.
 */
export function parseAuthority(text: string): Result<Authority, Http1Error> {
  const match = /^(\[[0-9a-fA-F:.]{2,45}\]|[^:[\]]{1,255})(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return fail('bad_host');
  const [, host = '', digits] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port === 0 || port > 65_535)) return fail('bad_host');
  const name = host.toLowerCase();
  if (name.startsWith('[')) {
    const address = name.slice(1, -1);
    const isIpv6 = address.includes(':') && parseIp(address) !== undefined;
    return isIpv6 ? ok({ name, port }) : fail('bad_host');
  }
  for (let at = 0; at < name.length; at++) {
    if (((CLASS[name.charCodeAt(at)] ?? 0) & HOST_NAME) === 0 || name.charCodeAt(at) > 0x7f) {
      return fail('bad_host');
    }
  }
  if (name.startsWith('.') || name.includes('..')) return fail('bad_host');
  return ok({ name: name.endsWith('.') ? name.slice(0, -1) : name, port });
}

/** `name` or `name:port`. */
export function formatAuthority(authority: Authority): string {
  return authority.port === undefined ? authority.name : `${authority.name}:${authority.port}`;
}

function isPlain(byte: number): boolean {
  return ((CLASS[byte] as number) & PLAIN_PATH) !== 0 || byte === 0x2e || byte === 0x2f;
}

const PATH_ERRORS: Readonly<Record<PathProblem, Http1Error>> = {
  not_absolute: 'bad_target',
  illegal_character: 'bad_target',
  bad_escape: 'bad_percent_encoding',
  not_utf8: 'bad_percent_encoding',
  escaped_control: 'bad_path',
  escaped_slash: 'bad_path',
  backslash: 'bad_path',
  repeated_slash: 'bad_path',
  dot_segment: 'bad_path',
};
