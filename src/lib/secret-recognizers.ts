import type { SecretKind } from './redact.ts';

/** One kind of secret, and how it looks. */
export type Recognizer = {
  readonly kind: SecretKind;
  readonly pattern: RegExp;
  /** A text without any of these holds none, which costs less to see than the pattern does. */
  readonly marks?: readonly string[];
  /** Which part of a match goes; all of it if absent. `undefined` leaves the match alone. */
  readonly secretOf?: (match: string, ...groups: string[]) => string | undefined;
};

// Names whose values are secrets, as they stand before `=` and `:`.
const NAMES =
  'passw(?:or)?d|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|session[_-]?id|jsessionid|phpsessid|signature|sig|sid|otp|pin';
// In quotes up to the quote that ends it, also in JSON that is a string of JSON.
const QUOTED = String.raw`"((?:[^"\\\r\n]|\\.){1,4096})|'((?:[^'\\\r\n]|\\.){1,4096})|\\{1,3}["']([^\\\r\n]{1,4096})`;
const NAMED = (rest: string): RegExp =>
  new RegExp(
    String.raw`\b[\w.-]{0,32}(?:${NAMES})\\{0,3}["']?\s{0,2}[=:]\s{0,2}(?:${QUOTED}|(${rest}))`,
    'gi',
  );

function lastGroup(_match: string, ...groups: string[]): string | undefined {
  // The very last string is the text itself.
  return groups.at(-2);
}

/** A parameter in a path ends with its segment. */
const IN_PATH: Recognizer = {
  kind: 'secret',
  pattern: NAMED(String.raw`[^\s&;,"'/[\]\\]{1,4096}`),
  secretOf: lastGroup,
};
const IN_TEXT: Recognizer = {
  kind: 'secret',
  pattern: NAMED(String.raw`[^\s&;,"'[\]\\]{1,4096}`),
  secretOf: lastGroup,
};

// SECURITY: every repetition below is bounded or cannot begin twice in one run of characters, so time stays
// linear in a text that a caller makes up.
const BEFORE_NAMED: readonly Recognizer[] = [
  {
    kind: 'key',
    marks: ['-----BEGIN'],
    pattern:
      /-----BEGIN [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----[^-]{0,8192}(?:-----END [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----)?/g,
  },
  // AWS, GitHub, GitLab, Slack, Stripe, Google, npm, OpenAI, Vault, SendGrid and the like, by their published prefixes.
  {
    kind: 'key',
    pattern:
      /(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{16,255}|github_pat_\w{20,255}|glpat-[\w-]{16,64}|xox[abeprs]-[\w-]{10,255}|[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}|sk-[\w-]{20,255}|AIza[\w-]{30,40}|npm_[A-Za-z0-9]{30,64}|pypi-[\w-]{16,255}|hf_[A-Za-z0-9]{20,64}|dop_v1_[0-9a-f]{32,64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{16,64}|hv[sbr]\.[\w-]{20,255}|SG\.[\w-]{16,32}\.[\w-]{32,64}|whsec_[\w+/=-]{12,255}|AGE-SECRET-KEY-1[0-9A-Z]{40,64}|palisade-join\.[\w.=+/-]{10,8192})/g,
  },
  {
    kind: 'userinfo',
    marks: ['@'],
    pattern: /([a-z][a-z0-9+.-]{1,20}:(?:\/|%2F){2})([^\s/?#"'<>]{1,1024})@/gi,
    secretOf: (_match, _scheme, userinfo) => userinfo,
  },
  {
    kind: 'query',
    marks: ['?'],
    pattern: /(https?:\/\/[^\s?#"'<>]{1,2048}\?)([^\s#"'<>]{1,4096})/gi,
    secretOf: (_match, _url, query) => query,
  },
  // Of a URL that is cut or relative, or of another scheme.
  {
    kind: 'query',
    marks: ['?'],
    pattern: /(\?)([\w%.~[\]-]{1,64}=[^\s#"'<>]{1,4096})/g,
    secretOf: (_match, _mark, query) => query,
  },
  {
    kind: 'cookie',
    pattern: /\b((?:set-)?cookie["']?\s{0,4}[:=]\s{0,4}["']?)([^\r\n"']{1,4096})/gi,
    secretOf: (_match, _name, value) => value,
  },
  // A JWT, found by its run of characters: what stands right before it, as in `id_eyJ…`, hides nothing.
  { kind: 'token', marks: ['eyJ'], pattern: /(?<![\w.-])[\w.-]{16,16384}/g, secretOf: jwtIn },
  {
    kind: 'token',
    pattern: /\b((?:Bearer|Basic|DPoP|Negotiate|Token)(?:[\s+]|%20){1,4})([\w.~+/=-]{8,8192})/gi,
    secretOf: (_match, _scheme, token) => token,
  },
  // Of any scheme, also one with parameters: all to the end of the line, or of what is quoted.
  {
    kind: 'token',
    pattern: new RegExp(
      String.raw`\b(?:proxy-)?authorization\\{0,3}["']?\s{0,4}[:=]\s{0,4}(?:${QUOTED}|((?!["'\\])[^\r\n]{1,4096}))`,
      'gi',
    ),
    secretOf: lastGroup,
  },
];

const AFTER_NAMED: readonly Recognizer[] = [
  {
    kind: 'email',
    marks: ['@', '%40'],
    pattern:
      /[\w.!#$&'*+^`{|}~\u0080-\uffff-]{1,64}(?:@|%40)[a-z0-9\u0080-\uffff-]{1,63}(?:\.[a-z0-9\u0080-\uffff-]{1,63}){1,8}/gi,
  },
  {
    kind: 'card',
    pattern: /(?<![\d.-])(?:[3-6]\d|2[2-7])\d{2}(?:[ _-]?\d){8,15}(?![\d-])/g,
    secretOf: (match) => (isCardNumber(match) ? match : undefined),
  },
];

/** What is looked for in a text, in this order. A path begins with `/`. */
export function recognizersOf(text: string): readonly Recognizer[] {
  return text.startsWith('/') ? OF_PATH : OF_TEXT;
}

const OF_PATH = [...BEFORE_NAMED, IN_PATH, ...AFTER_NAMED];
const OF_TEXT = [...BEFORE_NAMED, IN_TEXT, ...AFTER_NAMED];

/** Long opaque runs of letters and digits; padded base64 in URLs too, whose `+`, `/` and `=` are escaped. */
export const OPAQUE: Recognizer = {
  kind: 'token',
  pattern: /(?<!%[0-9a-f]?)(?:[\w~+-]|%2[BF]){32,4096}(?:=|%3D){0,2}/gi,
  secretOf: (match) => (isOpaque(match) ? match : undefined),
};

// RFC 7519: the header of a token is a JSON object, whose base64 begins so.
function jwtIn(run: string): string | undefined {
  if (!run.includes('eyJ')) return undefined;
  let start = 0;
  const parts = run.split('.');
  for (const [i, part] of parts.entries()) {
    const at = part.indexOf('eyJ');
    if (at >= 0 && part.length - at >= 8 && (parts[i + 1] ?? '').length >= 5) {
      return run.slice(start + at);
    }
    start += part.length + 1;
  }
  return undefined;
}

/** ISO/IEC 7812-1 annex B: Luhn's check digit, over 13 to 19 digits. */
function isCardNumber(text: string): boolean {
  const digits = text.replaceAll(/[ _-]/g, '');
  if (digits.length < 13 || digits.length > 19) return false;
  // Of those that begin with a 2 all have 16.
  if (digits.startsWith('2') && digits.length !== 16) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/**
 * Letters of both cases mixed with digits, or of one case (base32, base36) without a hyphen; digests in hex, UUIDs and words
 * joined by hyphens are none.
 */
function isOpaque(match: string): boolean {
  const text = match.replace(/^(?:sha\d{1,3}|md5)/i, '');
  if (!/\d/.test(text)) return false;
  // Words and camelCase change between digits and letters rarely; what is random does so all the time.
  if (/[a-z]/.test(text) && /[A-Z]/.test(text)) {
    const changes = text.match(/\d[A-Za-z]|[a-z][A-Z]|[A-Za-z]\d/g)?.length ?? 0;
    return changes >= text.length / 8;
  }
  if (!/^[a-z0-9]+$/i.test(text) || !/[g-z]/i.test(text)) return false;
  const changes = text.match(/(?<=\d)[a-z]|(?<=[a-z])\d/gi)?.length ?? 0;
  return changes >= text.length / 6;
}
