import { fail, ok, type Result } from '#lib';

/**
 * A path template of Istio: `{*}` stands for one non-empty segment, `{**}` for any rest of a path,
 * empty too. `head` are the segments up to `{**}` or the end, undefined being `{*}`; `tail` is the
 * literal text after `{**}`, undefined where there is none.
 */
export type PathTemplate = {
  readonly head: readonly (string | undefined)[];
  readonly tail: string | undefined;
};

/** Whether Istio reads a path as a template. */
export function isTemplate(text: string): boolean {
  return text.includes('{*}') || text.includes('{**}');
}

/** Parses `/a/{*}/b` or `/a/{**}/z`; braces stand for whole segments and `{**}` is the last of them. */
export function parseTemplate(text: string): Result<PathTemplate, string> {
  const wrong = `\`${text.slice(0, 80)}\` is not a path template`;
  if (!text.startsWith('/')) return fail(`${wrong}: it does not start with /`);
  const [before = '', after, ...more] = text.split('{**}');
  if (more.length > 0) return fail(`${wrong}: {**} may stand once`);
  if (after !== undefined && !before.endsWith('/')) return fail(`${wrong}: {**} must be a segment`);
  if (after !== undefined && (/[{}*]/.test(after) || (after !== '' && !after.startsWith('/')))) {
    return fail(`${wrong}: only literal segments may follow {**}`);
  }
  const literal = after === undefined ? before.slice(1) : before.slice(1, -1);
  const none = after !== undefined && before === '/';
  const head = none ? [] : literal.split('/').map((part) => (part === '{*}' ? undefined : part));
  if (head.some((part) => part !== undefined && /[{}*]/.test(part))) {
    return fail(`${wrong}: {*} must be a whole segment`);
  }
  return ok({ head, tail: after });
}

/** Whether the whole of a canonical path matches. Linear in the path: it is hostile input. */
export function templateMatches(template: PathTemplate, path: string): boolean {
  let at = 0;
  for (const part of template.head) {
    if (path.charCodeAt(at) !== SLASH) return false;
    const end = part === undefined ? segmentEnd(path, at + 1) : literalEnd(path, at + 1, part);
    if (end < 0) return false;
    at = end;
  }
  if (template.tail === undefined) return at === path.length;
  if (path.charCodeAt(at) !== SLASH) return false;
  const end = path.length - template.tail.length;
  if (end < at + 1 || !path.endsWith(template.tail)) return false;
  for (let i = at + 1; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code !== SLASH && !isSegmentCode(code)) return false;
  }
  return true;
}

const SLASH = 47;

function literalEnd(path: string, at: number, part: string): number {
  return path.startsWith(part, at) ? at + part.length : -1;
}

function segmentEnd(path: string, at: number): number {
  let end = at;
  while (end < path.length && isSegmentCode(path.charCodeAt(end))) end++;
  return end === at ? -1 : end;
}

// RFC 3986, section 3.3: pchar, which is how Envoy's templates read a segment. Brackets and whatever
// is not ASCII are therefore never matched.
const SEGMENT = new Set(
  [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;:@="].map((c) =>
    c.charCodeAt(0),
  ),
);
const IS_SEGMENT = Uint8Array.from({ length: 128 }, (_, code) => (SEGMENT.has(code) ? 1 : 0));

/** Whether a character may stand in what `{*}` stands for. */
export function isSegmentCode(code: number): boolean {
  return IS_SEGMENT[code] === 1;
}
