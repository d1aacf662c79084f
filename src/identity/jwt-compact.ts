import { fail, ok, type Result } from '#lib';
import { isJwtAlgorithm, type JwtAlgorithm } from './jwt-key.ts';

/** The parts of a JWS in compact serialization whose header a JWT-SVID may have; nothing is verified yet. */
export type CompactJws = {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
  readonly payload: Uint8Array;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
};

// SECURITY: a token is read before it is known; real ones take a few hundred bytes.
const MAX_TOKEN = 16 * 1024;
const MAX_HEADER = 2 * 1024;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a token as JWT-SVID sections 2 and 5.1 allow it, apart from header members of the names in `tolerated`, which
 * are passed over: other issuers name their key in several ways. Never throws.
 */
export function decodeCompact(
  token: string,
  tolerated: readonly string[] = [],
): Result<CompactJws, string> {
  if (token.length > MAX_TOKEN) return fail(`the token has more than ${MAX_TOKEN} characters`);
  const [head = '', body = '', last = '', ...more] = token.split('.');
  if (more.length > 0 || token.split('.').length !== 3) {
    return fail('the token is not of three parts');
  }
  if (head.length > MAX_HEADER) {
    return fail(`the token's header has more than ${MAX_HEADER} characters`);
  }
  const [headerBytes, payload, signature] = [head, body, last].map(decodeBase64url);
  if (headerBytes === undefined || payload === undefined || signature === undefined) {
    return fail('a part of the token is not base64url');
  }
  const header = parseJsonObject(headerBytes);
  if (header === undefined) return fail("the token's header is not a JSON object");
  const problem = headerProblem(header, tolerated);
  if (problem !== undefined) return fail(problem);
  const { alg, kid } = header as { alg: JwtAlgorithm; kid?: string };
  const signed = Buffer.from(token.slice(0, head.length + 1 + body.length), 'latin1');
  return ok({ algorithm: alg, kid, payload, signed, signature });
}

/** The object that JSON text in UTF-8 holds; undefined for anything else. */
export function parseJsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Neither UTF-8 nor JSON: which, concerns nobody.
    return undefined;
  }
}

function headerProblem(
  header: Readonly<Record<string, unknown>>,
  tolerated: readonly string[],
): string | undefined {
  const { alg, kid, typ } = header;
  // JWT-SVID 2.1: validators reject every other algorithm.
  if (!isJwtAlgorithm(alg)) return 'the algorithm of the token is not one of JWT-SVIDs';
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE') {
    return 'the type of the token is neither `JWT` nor `JOSE`';
  }
  if (kid !== undefined && typeof kid !== 'string') return "the token's `kid` is not text";
  // SECURITY: `jwk`, `jku`, `x5u` would let a token bring its own key; `crit` ask for rules that nobody here knows.
  // JWT-SVID 2: a header not described there must not be included.
  const names = Object.keys(header).filter((name) => !tolerated.includes(name));
  return names.every((name) => name === 'alg' || name === 'kid' || name === 'typ')
    ? undefined
    : 'the header of the token has more than `alg`, `kid` and `typ`';
}

/** RFC 7515 section 2: base64url without padding; and in one spelling, so that a token has no twins. */
function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}
