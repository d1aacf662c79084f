import { fail, ok, type PathNormalization, type Result } from '#lib';
import { CLASS, METHOD, TARGET } from '../http1/characters.ts';
import { codeOfName, FIELD, type FieldCode, type FieldLookup } from '../http1/fields.ts';
import { DEFAULT_HEAD_LIMITS, type Http1Error } from '../http1/messages.ts';
import { formatAuthority, parseAuthority, readPath } from '../http1/target.ts';
import type { H2Fields, H2RequestHead } from './messages.ts';

/** A request that means the same to everyone who reads it, as `RequestHead` of HTTP/1.1 does. */
export type H2Request = {
  readonly method: string;
  /** Canonical path without query, or `*`. */
  readonly path: string;
  /** The canonical path and the query as it came: what is forwarded. */
  readonly target: string;
  /** Authority in lower case without trailing dot, with its port where one was given. */
  readonly host: string;
  readonly fields: H2FieldLookup;
  /** Bytes as Content-Length has them, or -1. */
  readonly contentLength: number;
};

const MAX_METHOD = 32;

/**
 * The one meaning of a well-formed request, or why it has none: the rules of HTTP/1.1 requests.
 * `modeOf` tells how paths of a host are made canonical.
 */
export function interpretRequest(
  head: H2RequestHead,
  modeOf: (host: string) => PathNormalization,
): Result<H2Request, Http1Error> {
  const { method, authority, scheme, path: target = '', contentLength } = head;
  if (!isAll(method, METHOD) || method.length > MAX_METHOD) return fail('bad_method');
  if (method === 'CONNECT') return fail('connect_refused');
  if (scheme !== 'http' && scheme !== 'https') return fail('bad_target');
  if (target.length > DEFAULT_HEAD_LIMITS.maxTargetBytes) return fail('target_too_long');
  if (authority === undefined) return fail('missing_host');
  const host = parseAuthority(authority);
  if (!host.ok) return host;
  if (method === 'TRACE' && contentLength > 0) return fail('forbidden_body');
  const fields = new H2FieldLookup(head.fields);
  const problem = fields.problem();
  if (problem !== undefined) return fail(problem);
  const name = formatAuthority(host.value);
  const common = { method, host: name, fields, contentLength };
  if (target === '*' && method === 'OPTIONS') return ok({ ...common, path: '*', target: '*' });
  const query = target.indexOf('?');
  const path = readPath(query < 0 ? target : target.slice(0, query), modeOf(name));
  if (!path.ok) return path;
  if (query < 0) return ok({ ...common, path: path.value, target: path.value });
  const rest = target.slice(query);
  if (!isAll(rest, TARGET)) return fail('bad_target');
  return ok({ ...common, path: path.value, target: path.value + rest });
}

function isAll(text: string, charClass: number): boolean {
  for (let at = 0; at < text.length; at++) {
    if (((CLASS[text.charCodeAt(at)] ?? 0) & charClass) === 0) return false;
  }
  return text !== '';
}

/** The fields of an HTTP/2 head, asked as those of HTTP/1.1 are. */
export class H2FieldLookup implements FieldLookup {
  /** Name, value, name, value … as they came. */
  readonly pairs: H2Fields;

  constructor(pairs: H2Fields) {
    this.pairs = pairs;
  }

  names(): string[] {
    const found = new Set<string>();
    for (let at = 0; at < this.pairs.length; at += 2) found.add(this.pairs[at] as string);
    return [...found];
  }

  value(name: string): string | undefined {
    if (name === 'cookie') return this.values(name)[0];
    for (let at = 0; at < this.pairs.length; at += 2) {
      if (this.pairs[at] === name) return this.pairs[at + 1];
    }
    return undefined;
  }

  values(name: string): string[] {
    const found: string[] = [];
    for (let at = 0; at < this.pairs.length; at += 2) {
      if (this.pairs[at] === name) found.push(this.pairs[at + 1] as string);
    }
    // SECURITY: RFC 9113 section 8.2.3: crumbs of a cookie are one field, which is what its server reads; by
    // itself a crumb could be what a rule allows, and hide what another one denies.
    return name === 'cookie' && found.length > 1 ? [found.join('; ')] : found;
  }

  valueOf(code: FieldCode): string | undefined {
    for (let at = 0; at < this.pairs.length; at += 2) {
      if (codeOfName(this.pairs[at] as string) === code) return this.pairs[at + 1];
    }
    return undefined;
  }

  /**
   * Appends the fields to `into` less those of the codes in `dropped` and those named in `removed`,
   * also where they are written with underscores. `te` stays: in HTTP/2 it says `trailers` and is for
   * the server.
   */
  copyTo(into: string[], dropped: number, removed: readonly string[] = []): void {
    for (let at = 0; at < this.pairs.length; at += 2) {
      const name = this.pairs[at] as string;
      const code = codeOfName(name);
      if (typeof code === 'number' && ((dropped >> code) & 1) !== 0 && name !== 'te') continue;
      if (removed.length > 0 && removed.includes(name.replaceAll('_', '-'))) continue;
      into.push(name, this.pairs[at + 1] as string);
    }
  }

  /** Why the fields could be read in two ways. */
  problem(): Http1Error | undefined {
    let authorizations = 0;
    let expects = 0;
    for (let at = 0; at < this.pairs.length; at += 2) {
      const code = codeOfName(this.pairs[at] as string);
      if (typeof code === 'string') return code;
      // SECURITY: of two credentials each hop would pick another one.
      if (code === FIELD.AUTHORIZATION && ++authorizations > 1) return 'repeated_field';
      if (code === FIELD.EXPECT) {
        const isKnown = this.pairs[at + 1]?.toLowerCase() === '100-continue';
        if (!isKnown || ++expects > 1) return 'bad_expect';
      }
    }
    return undefined;
  }
}
