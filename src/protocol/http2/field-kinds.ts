import { CLASS, TOKEN, VALUE } from '../http1/characters.ts';

/** What a field is to the codec; it is looked up once, when a field enters a table. */
export const FIELD_KIND = {
  OTHER: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  /** Begins with a colon and is none of those above; `:protocol` included, which we never offer. */
  UNKNOWN_PSEUDO: 6,
  HOST: 7,
  CONTENT_LENGTH: 8,
  /** Means something to one HTTP/1.1 hop only (RFC 9113 section 8.2.2). */
  CONNECTION: 9,
  TE: 10,
  BAD_NAME: 11,
  BAD_VALUE: 12,
} as const;

/** The last pseudo-header kind; `OTHER` apart, what is not greater is one. */
export const LAST_PSEUDO: number = FIELD_KIND.UNKNOWN_PSEUDO;

const KNOWN: ReadonlyMap<string, number> = new Map<string, number>([
  [':method', FIELD_KIND.METHOD],
  [':scheme', FIELD_KIND.SCHEME],
  [':authority', FIELD_KIND.AUTHORITY],
  [':path', FIELD_KIND.PATH],
  [':status', FIELD_KIND.STATUS],
  ['host', FIELD_KIND.HOST],
  ['content-length', FIELD_KIND.CONTENT_LENGTH],
  ['connection', FIELD_KIND.CONNECTION],
  ['keep-alive', FIELD_KIND.CONNECTION],
  ['proxy-connection', FIELD_KIND.CONNECTION],
  ['transfer-encoding', FIELD_KIND.CONNECTION],
  ['upgrade', FIELD_KIND.CONNECTION],
  ['http2-settings', FIELD_KIND.CONNECTION],
  ['te', FIELD_KIND.TE],
]);

/** The kind that the name alone gives. */
export function kindOfName(name: string): number {
  const known = KNOWN.get(name);
  if (known !== undefined) return known;
  if (name.charCodeAt(0) === 0x3a) return FIELD_KIND.UNKNOWN_PSEUDO;
  if (name === '') return FIELD_KIND.BAD_NAME;
  let underscores = 0;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    // RFC 9113 section 8.2.1 and, stricter, RFC 9110 section 5.1: a token without upper case.
    if (((CLASS[code] as number) & TOKEN) === 0 || (code >= 0x41 && code <= 0x5a)) {
      return FIELD_KIND.BAD_NAME;
    }
    if (code === 0x5f) underscores++;
  }
  // SECURITY: CGI and WSGI applications cannot tell `content_length` from `content-length`.
  if (underscores > 0 && KNOWN.has(name.replaceAll('_', '-'))) return FIELD_KIND.BAD_NAME;
  return FIELD_KIND.OTHER;
}

/** `kind`, or `BAD_VALUE` where the value breaks RFC 9113 section 8.2.1 or RFC 9110 section 5.5. */
export function kindWithValue(kind: number, value: string): number {
  const { length } = value;
  if (length === 0) return kind;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1))) {
    return FIELD_KIND.BAD_VALUE;
  }
  for (let at = 0; at < length; at++) {
    if (((CLASS[value.charCodeAt(at)] as number) & VALUE) === 0) return FIELD_KIND.BAD_VALUE;
  }
  return kind;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
