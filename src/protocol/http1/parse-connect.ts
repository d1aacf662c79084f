import { type Authority, parseAuthority } from './target.ts';

/** What the first bytes of a connection to a forward proxy are. */
export type ConnectResult =
  /** The head of a CONNECT is not complete yet. */
  | { readonly kind: 'more' }
  /** Not a CONNECT: an ordinary request, or nothing that can be read. */
  | { readonly kind: 'other' }
  | { readonly kind: 'refuse' }
  /** `consumed` bytes are the head; what follows belongs to the tunnel. */
  | { readonly kind: 'connect'; readonly authority: Authority; readonly consumed: number };

const METHOD = Buffer.from('CONNECT ');
const MAX_HEAD_BYTES = 8192;
// RFC 9112 section 3.2.3: the target of CONNECT is in authority-form, and nothing else.
// Python's http.client says HTTP/1.0, which means the same here: a tunnel has no framing of its own.
const REQUEST_LINE = /^CONNECT ([^\s/?#@]{1,300}) HTTP\/1\.[01]$/;
// RFC 9110 section 5: a token, a colon, and visible characters, spaces and tabs.
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):([\t\x20-\x7e]*)$/;
// RFC 9110 section 9.3.6: a CONNECT has no content; whoever frames some means to smuggle it.
const FRAMING = /^(?:content-length|transfer-encoding|upgrade|expect)$/i;

/** Reads the CONNECT that opens a tunnel through a forward proxy, strictly; never throws. */
export function parseConnect(bytes: Buffer): ConnectResult {
  const compared = Math.min(bytes.length, METHOD.length);
  if (bytes.compare(METHOD, 0, compared, 0, compared) !== 0) return { kind: 'other' };
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return bytes.length > MAX_HEAD_BYTES ? { kind: 'refuse' } : { kind: 'more' };
  if (end > MAX_HEAD_BYTES) return { kind: 'refuse' };
  const [requestLine = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
  const target = REQUEST_LINE.exec(requestLine)?.[1];
  const authority = parseAuthority(target ?? '');
  if (!authority.ok || authority.value.port === undefined) return { kind: 'refuse' };
  const hosts: string[] = [];
  for (const field of fields) {
    const [, name, value = ''] = FIELD_LINE.exec(field) ?? [];
    if (name === undefined || FRAMING.test(name)) return { kind: 'refuse' };
    if (/^host$/i.test(name)) hosts.push(value.trim());
  }
  if (hosts.length > 1 || !hosts.every((host) => isSame(host, authority.value)))
    return { kind: 'refuse' };
  return { kind: 'connect', authority: authority.value, consumed: end + 4 };
}

// RFC 9112 section 3.2.2 wants the very same text; many clients leave the port out. SECURITY: another
// host than the target's is an attempt to be let in by the one and led to the other.
function isSame(host: string, target: Authority): boolean {
  const parsed = parseAuthority(host);
  if (!parsed.ok || parsed.value.name !== target.name) return false;
  return parsed.value.port === undefined || parsed.value.port === target.port;
}
