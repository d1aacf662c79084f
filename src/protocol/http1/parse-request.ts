import type { PathNormalization } from '#lib';
import { CLASS, CR, METHOD, SP, TARGET } from './characters.ts';
import { readConnection } from './connection.ts';
import { equalsLower, equalsText } from './fields.ts';
import { HeadLines } from './head-lines.ts';
import {
  DEFAULT_HEAD_LIMITS,
  type Framing,
  type HeadLimits,
  type HeadResult,
  type Http1Error,
  type RequestHead,
} from './messages.ts';
import {
  type Authority,
  formatAuthority,
  isPlainPath,
  parseAuthority,
  readPath,
} from './target.ts';

/** Reads the request heads of one connection, one after another. */
export type RequestReader = {
  /**
   * Reads on in `chunk` from `from`. After `refuse` the reader is of no further use; after a head
   * the body starts at `from + head.consumed`.
   */
  readonly read: (chunk: Buffer, from: number) => HeadResult<RequestHead>;
  /** Whether part of a head has been read: the connection is not idle. */
  readonly partial: () => boolean;
};

/** What differs between readers. */
export type RequestReaderOptions = {
  readonly limits?: HeadLimits;
  /** How a path is brought into its canonical form for an authority as in `host`; default `STRICT`. */
  readonly pathNormalization?: (host: string) => PathNormalization;
};

/** Creates the strict reader of the requests of a connection (RFC 9112, RFC 9110). */
export function createRequestReader(options: RequestReaderOptions = {}): RequestReader {
  const { limits = DEFAULT_HEAD_LIMITS, pathNormalization = () => 'STRICT' } = options;
  const line = new RequestLine(limits.maxTargetBytes);
  const lines = new HeadLines(limits, limits.maxTargetBytes + MAX_METHOD + 10, line.read);
  // A line end is in no value, so the first Host is never taken for a cached one.
  const cache: HostCache = { text: '\n', authority: { name: '', port: undefined }, host: '' };
  return {
    read(chunk, from) {
      const outcome = lines.read(chunk, from);
      if (outcome === false) return MORE;
      const head = outcome === true ? finish(lines, line, { cache, pathNormalization }) : outcome;
      return typeof head === 'string' ? { kind: 'refuse', error: head } : head;
    },
    partial: () => lines.partial,
  };
}

const MORE = { kind: 'more' } as const;
const NO_BODY: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const MAX_METHOD = 32;
// A name with an optional version, as `websocket` or `spdy/3.1`.
const UPGRADE_PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,32}(?:\/[!#$%&'*+\-.^_`|~0-9a-z]{1,16})?$/;
const COMMON_METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'];
const FORMS = { origin: 0, absolute: 1, asterisk: 2 } as const;

/** The parts of the request line last read; reused for every request of a connection. */
class RequestLine {
  method = '';
  path = '';
  target = '';
  authority: Authority | undefined;
  verbatim = false;
  minor: 0 | 1 = 1;
  form: number = FORMS.origin;
  readonly #maxTarget: number;
  // As it came, until it is known whose path it is; `target` holds the query meanwhile.
  #rawPath: string | undefined;

  constructor(maxTarget: number) {
    this.#maxTarget = maxTarget;
  }

  // RFC 9112 section 3: method SP request-target SP HTTP-version, with single spaces.
  readonly read = (bytes: Buffer, start: number, end: number): Http1Error | undefined => {
    let at = start;
    while (at < end && ((CLASS[bytes[at] as number] as number) & METHOD) !== 0) at++;
    if (at === start || at - start > MAX_METHOD || bytes[at] !== SP) {
      return at < end && bytes[at] === CR ? 'bare_cr' : 'bad_method';
    }
    this.method = methodName(bytes, start, at);
    const targetStart = at + 1;
    at = targetStart;
    while (at < end && ((CLASS[bytes[at] as number] as number) & TARGET) !== 0) at++;
    if (at === targetStart) return 'bad_request_line';
    if (at - targetStart > this.#maxTarget) return 'target_too_long';
    const minor = at === end ? -1 : readVersion(bytes, at, end);
    if (typeof minor === 'string') return minor;
    if (minor < 0) return 'bad_version';
    this.minor = minor === 0 ? 0 : 1;
    if (this.method === 'CONNECT') return 'connect_refused';
    return this.#readTarget(bytes, targetStart, at);
  };

  #readTarget(bytes: Buffer, start: number, end: number): Http1Error | undefined {
    this.authority = undefined;
    this.form = FORMS.origin;
    this.verbatim = false;
    this.#rawPath = undefined;
    if (bytes[start] === 0x2f) return this.#readPath(bytes, start, end);
    if (bytes[start] === 0x2a && end === start + 1) {
      if (this.method !== 'OPTIONS') return 'bad_target';
      this.form = FORMS.asterisk;
      this.path = '*';
      this.target = '*';
      this.verbatim = true;
      return undefined;
    }
    return this.#readAbsolute(bytes, start, end);
  }

  #readPath(bytes: Buffer, start: number, end: number): Http1Error | undefined {
    let query = start;
    while (query < end && bytes[query] !== 0x3f) query++;
    if (isPlainPath(bytes, start, query)) {
      // Callers of a connection ask for the same again and again: then there is no string to make.
      if (!equalsText(bytes, start, query, this.path))
        this.path = bytes.toString('latin1', start, query);
      this.target = query === end ? this.path : bytes.toString('latin1', start, end);
      this.verbatim = this.form === FORMS.origin;
      return undefined;
    }
    this.#rawPath = bytes.toString('latin1', start, query);
    this.target = bytes.toString('latin1', query, end);
    return undefined;
  }

  /** Brings the path into its form for the authority named, once that is known. */
  canonicalize(host: string, modeOf: (host: string) => PathNormalization): Http1Error | undefined {
    if (this.#rawPath === undefined) return undefined;
    const path = readPath(this.#rawPath, modeOf(host));
    if (!path.ok) return path.error;
    this.path = path.value;
    this.target = path.value + this.target;
    return undefined;
  }

  // RFC 9112 section 3.2.2. SECURITY: userinfo is refused (`http://trusted@evil/`), as is https,
  // which a client must not ask for over a connection that is not.
  #readAbsolute(bytes: Buffer, start: number, end: number): Http1Error | undefined {
    if (end - start < 8 || !equalsLower(bytes, start, 'http') || bytes[start + 4] !== 0x3a) {
      return 'bad_target';
    }
    if (bytes[start + 5] !== 0x2f || bytes[start + 6] !== 0x2f) return 'bad_target';
    let at = start + 7;
    while (at < end && bytes[at] !== 0x2f && bytes[at] !== 0x3f) at++;
    const authority = parseAuthority(bytes.toString('latin1', start + 7, at));
    if (!authority.ok) return 'bad_target';
    this.authority = authority.value;
    this.form = FORMS.absolute;
    if (at < end && bytes[at] === 0x2f) return this.#readPath(bytes, at, end);
    const options = this.method === 'OPTIONS' && at === end;
    this.path = options ? '*' : '/';
    this.target = options ? '*' : `/${bytes.toString('latin1', at, end)}`;
    return undefined;
  }
}

type HostCache = { text: string; authority: Authority; host: string };

type Finishing = {
  readonly cache: HostCache;
  readonly pathNormalization: (host: string) => PathNormalization;
};

function finish(
  lines: HeadLines,
  line: RequestLine,
  { cache, pathNormalization }: Finishing,
): RequestHead | Http1Error {
  const { fields, summary } = lines;
  const hostError = checkHost(lines, line, cache);
  if (hostError !== undefined) return hostError;
  const pathError = line.canonicalize(cache.host, pathNormalization);
  if (pathError !== undefined) return pathError;
  if (summary.chunked && summary.contentLength >= 0) return 'content_length_with_transfer_encoding';
  // RFC 9112 section 6.1: Transfer-Encoding in HTTP/1.0 means faulty framing.
  if (summary.chunked && line.minor === 0) return 'bad_transfer_encoding';
  const framing = requestFraming(summary.chunked, summary.contentLength);
  // RFC 9110 section 9.3.8: TRACE has no body.
  if (line.method === 'TRACE' && framing !== NO_BODY) return 'forbidden_body';
  const connectionError = summary.connection ? readConnection(fields, summary) : undefined;
  if (connectionError !== undefined) return connectionError;
  const upgrade =
    summary.upgradeIndex < 0 ? '' : askedProtocol(lines, line.minor === 1 && framing === NO_BODY);
  if (upgrade === undefined) return 'bad_upgrade';
  return {
    kind: 'head',
    method: line.method,
    path: line.path,
    target: line.target,
    absolute: line.form === FORMS.absolute,
    host: cache.host,
    isHostVerbatim: cache.text === cache.host,
    minor: line.minor,
    framing,
    keepAlive: line.minor === 1 && !summary.close,
    // RFC 9110 section 10.1.1: an HTTP/1.0 client cannot wait for 100.
    expectContinue: summary.expectContinue && line.minor === 1 && framing !== NO_BODY,
    upgrade,
    fields,
    consumed: lines.consumed,
    verbatim: line.verbatim && line.minor === 1,
  };
}

function checkHost(lines: HeadLines, line: RequestLine, cache: HostCache): Http1Error | undefined {
  const { fields, summary } = lines;
  if (summary.hostCount === 0) return 'missing_host';
  const start = fields.valueStart(summary.hostIndex);
  if (!equalsText(fields.bytes, start, fields.valueEnd(summary.hostIndex), cache.text)) {
    const text = fields.valueAt(summary.hostIndex);
    const parsed = parseAuthority(text);
    if (!parsed.ok) return parsed.error;
    cache.text = text;
    cache.authority = parsed.value;
    cache.host = formatAuthority(parsed.value);
  }
  if (line.authority === undefined) return undefined;
  // Stricter than RFC 9112 section 3.2.2, which lets the target win: no two hops agree on that.
  const same =
    line.authority.name === cache.authority.name &&
    (line.authority.port ?? 80) === (cache.authority.port ?? 80);
  return same ? undefined : 'host_mismatch';
}

function requestFraming(chunked: boolean, contentLength: number): Framing {
  if (chunked) return CHUNKED;
  return contentLength > 0 ? { kind: 'length', length: contentLength } : NO_BODY;
}

// RFC 9110 section 7.8. SECURITY: one protocol, named in Connection too, asked for without a body, or
// the hops would disagree on where the new protocol starts. Another HTTP or TLS inside would carry
// requests past policy, so these are never switched to.
function askedProtocol({ fields, summary }: HeadLines, isAble: boolean): string | undefined {
  const protocol = fields.valueAt(summary.upgradeIndex).toLowerCase();
  if (protocol === 'h2c') return '';
  if (!isAble || !summary.upgradeOption || !UPGRADE_PROTOCOL.test(protocol)) return undefined;
  return /^(?:https?|h[23]c?|tls|ssl|quic|connect)/.test(protocol) ? undefined : protocol;
}

// Common names are constants, so that a request allocates no string for its method.
function methodName(bytes: Buffer, start: number, end: number): string {
  for (let i = 0; i < COMMON_METHODS.length; i++) {
    const name = COMMON_METHODS[i] as string;
    if (name.length === end - start && name.charCodeAt(0) === bytes[start]) {
      let same = 1;
      while (same < name.length && name.charCodeAt(same) === bytes[start + same]) same++;
      if (same === name.length) return name;
    }
  }
  return bytes.toString('latin1', start, end);
}

/** 0 or 1 for ` HTTP/1.x` at `at`, otherwise why the rest of the line is none. */
function readVersion(bytes: Buffer, at: number, end: number): number | Http1Error {
  if (bytes[at] !== SP) return bytes[at] === CR ? 'bare_cr' : 'bad_target';
  if (equalsText(bytes, at + 1, end, 'HTTP/1.1')) return 1;
  if (equalsText(bytes, at + 1, end, 'HTTP/1.0')) return 0;
  const rest = bytes.toString('latin1', at + 1, end);
  if (rest.includes('\r')) return 'bare_cr';
  return rest.startsWith('HTTP/') ? 'bad_version' : 'bad_target';
}
