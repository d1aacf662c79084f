/** What a secret or personal text was, in the order in which it is looked for. */
export type SecretKind =
  | 'key'
  | 'userinfo'
  | 'query'
  | 'cookie'
  | 'token'
  | 'secret'
  | 'email'
  | 'card';

/** All kinds that are recognized. */
export const SECRET_KINDS: readonly SecretKind[] = [
  'key',
  'userinfo',
  'query',
  'cookie',
  'token',
  'secret',
  'email',
  'card',
];

/** How text is redacted besides by default. */
export type RedactOptions = {
  /** A keyed hash of what is taken out, so that like can be joined with like; none for undefined. */
  readonly hash?: ((kind: string, secret: string) => string | undefined) | undefined;
  /** Take long opaque runs of letters and digits for tokens too: right in paths, wrong where digests are named. */
  readonly opaque?: boolean;
};

type Recognizer = {
  readonly kind: SecretKind;
  readonly pattern: RegExp;
  /** Which part of a match goes; all of it if absent. `undefined` leaves the match alone. */
  readonly secretOf?: (match: string, ...groups: string[]) => string | undefined;
};

// SECURITY: every repetition below is bounded or cannot begin twice in one run of characters, so time stays
// linear in a text that a caller makes up.
const RECOGNIZERS: readonly Recognizer[] = [
  {
    kind: 'key',
    pattern:
      /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]{0,8192}(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g,
  },
  // AWS, GitHub, GitLab, Slack, Stripe, Google, npm, OpenAI and the like, by their published prefixes.
  {
    kind: 'key',
    pattern:
      /\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{16,255}|github_pat_\w{20,255}|glpat-[\w-]{16,64}|xox[abeprs]-[\w-]{10,255}|[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}|sk-[\w-]{20,255}|AIza[\w-]{30,40}|npm_[A-Za-z0-9]{30,64}|palisade-join\.[\w.=+/-]{10,8192})/g,
  },
  {
    kind: 'userinfo',
    pattern: /([a-z][a-z0-9+.-]{1,20}:\/\/)([^\s/?#@"'<>]{1,1024})@/gi,
    secretOf: (_match, _scheme, userinfo) => userinfo,
  },
  {
    kind: 'query',
    pattern: /(https?:\/\/[^\s?#"'<>]{1,2048}\?)([^\s#"'<>]{1,4096})/gi,
    secretOf: (_match, _url, query) => query,
  },
  {
    kind: 'cookie',
    pattern: /\b((?:set-)?cookie["']?\s{0,4}[:=]\s{0,4}["']?)([^\r\n"']{1,4096})/gi,
    secretOf: (_match, _name, value) => value,
  },
  {
    kind: 'token',
    pattern: /\beyJ[\w-]{5,4096}\.[\w-]{5,8192}(?:\.[\w-]{0,2048}){0,3}/g,
  },
  {
    kind: 'token',
    pattern: /\b((?:Bearer|Basic|DPoP|Negotiate|Token)(?:\s|%20){1,4})([\w.~+/=-]{8,8192})/gi,
    secretOf: (_match, _scheme, token) => token,
  },
  {
    kind: 'secret',
    pattern:
      /\b([\w.-]{0,32}(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|authorization|session[_-]?id|jsessionid|phpsessid|signature|sig|sid|otp|pin)["']?\s{0,2}[=:]\s{0,2}["']?)([^\s&;,"'/[\]]{1,4096})/gi,
    secretOf: (_match, _name, value) => value,
  },
  {
    kind: 'email',
    pattern: /[\w.!#$&'*+^`{|}~-]{1,64}(?:@|%40)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}/gi,
  },
  {
    kind: 'card',
    pattern: /(?<![\d.-])[3-6]\d{3}(?:[ -]?\d){8,15}(?![\d-])/g,
    secretOf: (match) => (isCardNumber(match) ? match : undefined),
  },
];

const OPAQUE: Recognizer = {
  kind: 'token',
  pattern: /[\w~-]{32,4096}/g,
  secretOf: (match) => (isOpaque(match) ? match : undefined),
};

const MAX_CHARS = 16_384;

/**
 * Takes secrets and personal data out of a text: `[redacted:KIND]` stands in their place, with a hash behind the kind
 * where one is asked for. Returns the very same text where there is nothing. What is beyond 16,384 characters is cut.
 */
export function redactText(text: string, options: RedactOptions = {}): string {
  if (isPlain(text)) return text.length > MAX_CHARS ? text.slice(0, MAX_CHARS) : text;
  let redacted = text.length > MAX_CHARS ? text.slice(0, MAX_CHARS) : text;
  for (const recognizer of RECOGNIZERS) redacted = applyOne(redacted, recognizer, options);
  return options.opaque === true ? applyOne(redacted, OPAQUE, options) : redacted;
}

/** What stands for a secret of this kind. */
export function redactionOf(kind: string, secret: string, { hash }: RedactOptions): string {
  const hashed = hash?.(kind, secret);
  return hashed === undefined ? `[redacted:${kind}]` : `[redacted:${kind}:${hashed}]`;
}

/** Header names whose values are never kept or shown, whoever asks: in any case, also with underscores. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name);
}

const SECRET_HEADER =
  /auth|cookie|token|secret|passw|credential|session|signature|api[-_]?key|access[-_]?key|csrf|xsrf|dpop|client[-_]cert|otp\b|jwt|assertion/i;

function applyOne(
  text: string,
  { kind, pattern, secretOf }: Recognizer,
  options: RedactOptions,
): string {
  return text.replace(pattern, (match: string, ...rest: unknown[]) => {
    const groups = rest.filter((each): each is string => typeof each === 'string');
    const secret = secretOf === undefined ? match : secretOf(match, ...groups);
    // What an earlier one put there is no secret.
    if (secret === undefined || secret.includes('[redacted:')) return match;
    const at = match.lastIndexOf(secret);
    return `${match.slice(0, at)}${redactionOf(kind, secret, options)}${match.slice(at + secret.length)}`;
  });
}

/** ISO/IEC 7812-1 annex B: Luhn's check digit, over 13 to 19 digits. */
function isCardNumber(text: string): boolean {
  const digits = text.replaceAll(/[ -]/g, '');
  if (digits.length < 13 || digits.length > 19) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** Letters of both cases mixed with digits; digests in hex, UUIDs and words joined by hyphens are none. */
function isOpaque(text: string): boolean {
  if (!/[a-z]/.test(text) || !/[A-Z]/.test(text) || !/\d/.test(text)) return false;
  // Words and camelCase change between digits and letters rarely; what is random does so all the time.
  const changes = text.match(/\d[A-Za-z]|[a-z][A-Z]|[A-Za-z]\d/g)?.length ?? 0;
  return changes >= text.length / 8;
}

const MIN_SECRET_RUN = 16;
const MIN_CARD_DIGITS = 13;

const OTHER = 0;
const DIGIT = 1;
const HEX_LETTER = 2;
const LETTER = 3;
const HYPHEN = 4;
/** What joins a secret to its name, its host or its scheme; space, and `%` which may be any of them. */
const MARK = 5;

const CHARACTERS = charactersOf({
  [DIGIT]: '0123456789',
  [HEX_LETTER]: 'abcdef',
  [LETTER]: 'ghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_',
  [HYPHEN]: '-',
  [MARK]: '@=: %\n\t"',
});

/**
 * Whether a text has none of what secrets are made of: nearly all paths, for a nanosecond or two a character. Ids in hex
 * and words joined by hyphens are plain however long they are.
 */
function isPlain(text: string): boolean {
  let start = 0;
  let digits = 0;
  let letters = 0;
  let hexLetters = 0;
  for (let i = 0; i <= text.length; i++) {
    const what = i === text.length ? OTHER : (CHARACTERS[text.charCodeAt(i)] ?? OTHER);
    if (what === LETTER) letters++;
    else if (what === DIGIT) digits++;
    else if (what === HEX_LETTER) hexLetters++;
    else if (what === MARK) return false;
    else if (what === OTHER) {
      if (i - start >= MIN_CARD_DIGITS) {
        const isLong = i - start >= MIN_SECRET_RUN;
        if (isLong && digits > 0 && (letters > 0 || hexLetters === 0)) return false;
        if (isLong && text.startsWith('eyJ', start)) return false;
        if (digits >= MIN_CARD_DIGITS && hexLetters === 0) return false;
      }
      start = i + 1;
      digits = 0;
      letters = 0;
      hexLetters = 0;
    }
  }
  return !text.startsWith('-----BEGIN');
}

function charactersOf(classes: Readonly<Record<number, string>>): Uint8Array {
  const table = new Uint8Array(128);
  for (const [what, characters] of Object.entries(classes)) {
    for (const character of characters) table[character.charCodeAt(0)] = Number(what);
  }
  return table;
}
