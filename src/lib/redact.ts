import { escapedAsBefore, plainForm } from './plain-form.ts';
import { OPAQUE, type Recognizer, recognizersOf } from './secret-recognizers.ts';

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

const MAX_CHARS = 16_384;

/**
 * Takes secrets and personal data out of a text: `[redacted:KIND]` stands in their place, with a hash behind the kind
 * where one is asked for. Escapes hide nothing: where one does, it is decoded. Returns the very same text where there is
 * nothing. What is beyond 16,384 characters is cut.
 */
export function redactText(text: string, options: RedactOptions = {}): string {
  const whole = text.length > MAX_CHARS ? text.slice(0, MAX_CHARS) : text;
  if (isPlain(whole)) return whole;
  const redacted = applyAll(whole, options);
  const plain = plainForm(redacted);
  if (plain === redacted) return redacted;
  const found = applyAll(plain, options);
  return found === plain ? redacted : escapedAsBefore(found, whole);
}

function applyAll(text: string, options: RedactOptions): string {
  let redacted = text;
  for (const recognizer of recognizersOf(text)) redacted = applyOne(redacted, recognizer, options);
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
  /auth|cookie|token|secret|passw|credential|session|signature|(?:api|access|subscription|functions|account|shared|master|customer|encryption|private)[-_]?key|csrf|xsrf|dpop|client[-_]cert|otp\b|jwt|assertion|hmac/i;

function applyOne(
  text: string,
  { kind, pattern, marks, secretOf }: Recognizer,
  options: RedactOptions,
): string {
  if (marks?.every((mark) => !text.includes(mark)) === true) return text;
  return text.replace(pattern, (match: string, ...rest: unknown[]) => {
    const groups = rest.filter((each): each is string => typeof each === 'string');
    const secret = secretOf === undefined ? match : secretOf(match, ...groups);
    // What an earlier one put there is no secret.
    if (secret === undefined || secret.includes('[redacted:')) return match;
    const at = match.lastIndexOf(secret);
    return `${match.slice(0, at)}${redactionOf(kind, secret, options)}${match.slice(at + secret.length)}`;
  });
}

const MIN_SECRET_RUN = 16;
const MIN_CARD_DIGITS = 13;

const OTHER = 0;
const DIGIT = 1;
const HEX_LETTER = 2;
const LETTER = 3;
const HYPHEN = 4;
/** What joins a secret to its name, its host or its scheme; space, and `%` and other scripts which may be any of them. */
const MARK = 5;

const CHARACTERS = charactersOf({
  [DIGIT]: '0123456789',
  [HEX_LETTER]: 'abcdef',
  [LETTER]: 'ghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_',
  [HYPHEN]: '-',
  [MARK]: '@=: +%\n\t"',
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
    const what = i === text.length ? OTHER : (CHARACTERS[text.charCodeAt(i)] ?? MARK);
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
