import { fail, ok, type Result } from '#lib';
import { parseTrustDomain, quoted, type TrustDomain } from './trust-domain.ts';

/**
 * A SPIFFE ID that parsed. `path` is empty or begins with `/`; `namespace` and `serviceAccount`
 * are there when the path is exactly `/ns/NAMESPACE/sa/ACCOUNT`.
 */
export type SpiffeId = {
  readonly trustDomain: TrustDomain;
  readonly path: string;
  readonly text: string;
  readonly namespace: string | undefined;
  readonly serviceAccount: string | undefined;
};

const SCHEME = 'spiffe://';
// SPIFFE-ID 2.3: implementations must support 2048 bytes and should not go beyond.
const MAX_LENGTH = 2048;

/**
 * Parses a SPIFFE ID strictly (SPIFFE-ID 2): no upper-case scheme or trust domain, no percent
 * encoding, no query, fragment, port or user info, no empty, `.` or `..` segment.
 */
export function parseSpiffeId(text: string): Result<SpiffeId, string> {
  if (text.length > MAX_LENGTH) return fail(`a SPIFFE ID has at most ${MAX_LENGTH} bytes`);
  if (!text.startsWith(SCHEME)) return fail('a SPIFFE ID begins with `spiffe://`');
  const slash = text.indexOf('/', SCHEME.length);
  const trustDomain = parseTrustDomain(text.slice(SCHEME.length, slash < 0 ? undefined : slash));
  if (!trustDomain.ok) return trustDomain;
  const path = slash < 0 ? '' : text.slice(slash);
  const problem = slash < 0 ? undefined : pathProblem(path);
  if (problem !== undefined) return fail(problem);
  return ok(build(trustDomain.value, path));
}

/**
 * The SPIFFE ID of a workload, `spiffe://TD/ns/NAMESPACE/sa/ACCOUNT`. Namespace and account come
 * from validated resources; throws a RangeError if one of them could not be a path segment.
 */
export function workloadSpiffeId(
  trustDomain: TrustDomain,
  namespace: string,
  serviceAccount: string,
): SpiffeId {
  for (const segment of [namespace, serviceAccount]) {
    // SECURITY: a slash in a name would let one namespace spell the identity of another.
    const problem = segmentProblem(segment);
    if (problem !== undefined) throw new RangeError(problem);
  }
  const path = `/ns/${namespace}/sa/${serviceAccount}`;
  const id = build(trustDomain, path);
  if (id.text.length > MAX_LENGTH) throw new RangeError('the SPIFFE ID would be too long');
  return id;
}

function build(trustDomain: TrustDomain, path: string): SpiffeId {
  const segments = path.split('/');
  const isWorkload = segments.length === 5 && segments[1] === 'ns' && segments[3] === 'sa';
  return {
    trustDomain,
    path,
    text: `${SCHEME}${trustDomain}${path}`,
    namespace: isWorkload ? segments[2] : undefined,
    serviceAccount: isWorkload ? segments[4] : undefined,
  };
}

function pathProblem(path: string): string | undefined {
  for (const segment of path.slice(1).split('/')) {
    const problem = segmentProblem(segment);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function segmentProblem(segment: string): string | undefined {
  if (segment === '') return "a SPIFFE ID's path has no empty segment and no trailing slash";
  if (segment === '.' || segment === '..') return "a SPIFFE ID's path has no `.` or `..` segment";
  const bad = /[^A-Za-z0-9._-]/.exec(segment);
  if (bad === null) return undefined;
  return `${quoted(bad[0])} is not allowed in a SPIFFE ID's path: letters, digits, \`.\`, \`-\` and \`_\` are`;
}
