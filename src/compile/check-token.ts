import { fail, ok, type Result } from '#lib';
import {
  type Claims,
  decideForSomeUser,
  type Explanation,
  normalizeClaims,
  type PolicyIr,
  type PolicyOptions,
  type Question,
} from '#policy';
import { ROOT_NAMESPACE } from '#resource';
import { checkClaims, outputHeaders, type TokenRule, writtenHeaders } from '#token';
import type { CheckedRequest } from './check.ts';
import { type ResourceSets, resourcesOf } from './input.ts';
import { compileTokenRules } from './request-authentication.ts';
import type { SelectedWorkload } from './selection.ts';

/**
 * What policy sees of a request with a token: the claims count only if a RequestAuthentication of the
 * workload names their issuer, and write the headers it says. The error says why the sidecar would
 * answer 401. Where no RequestAuthentication is at hand at all, for policies in a file, the claims are
 * taken as they are. The signature is taken as valid: nobody who asks has one.
 */
export function checkToken(
  request: CheckedRequest,
  sets: ResourceSets,
  { workload, nowMs }: { readonly workload: SelectedWorkload; readonly nowMs: number },
): Result<CheckedRequest, string> {
  const namespaces = [...new Set([ROOT_NAMESPACE, workload.namespace])];
  const isKnown = namespaces.some(
    (namespace) => resourcesOf(sets, namespace, 'RequestAuthentication').length > 0,
  );
  if (!isKnown) return ok(request);
  const rules = compileTokenRules(sets, workload);
  if (!rules.ok) return fail(rules.error.join('; '));
  const stripped = withoutHeaders(request, outputHeaders(rules.value));
  const { claims } = request;
  if (claims === undefined) return ok(stripped);
  if (rules.value.length === 0) return ok({ ...stripped, claims: undefined });
  const rule = rules.value.find(({ issuer }) => issuer === claims['iss']);
  const problem =
    rule === undefined ? unknownIssuer(claims, rules.value) : timely(claims, rule, nowMs);
  if (rule === undefined || problem !== undefined) return fail(problem ?? '');
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
  const written = Object.fromEntries(writtenHeaders(rule, claims, payload));
  return ok({
    ...stripped,
    headers: { ...stripped.headers, ...written },
    claims: normalizeClaims(claims, rule.spaceDelimitedClaims),
  });
}

/** A denial that lacks nothing but a user's token says so, as the sidecar does with 401. */
export function withMissingToken(
  explanation: Explanation,
  question: Question,
  about: PolicyOptions & {
    readonly policies: readonly PolicyIr[];
    readonly sets: ResourceSets;
    readonly workload: SelectedWorkload;
  },
): Explanation {
  const { decision } = explanation;
  const { policies, sets, workload } = about;
  if (decision.verdict === 'allow' || decision.reason === 'cannot_decide') return explanation;
  if (question.request === undefined || question.request.claims !== undefined) return explanation;
  const rules = compileTokenRules(sets, workload);
  if (!rules.ok || rules.value.length === 0) return explanation;
  if (decideForSomeUser(policies, about, question).verdict === 'deny') return explanation;
  const issuers = [...new Set(rules.value.map(({ issuer }) => `\`${issuer}\``))].join(', ');
  const sentence = `no policy has to change: send a user's token of ${issuers}, with the claims that the rules ask for`;
  return {
    ...explanation,
    decision: { ...decision, reason: 'token_invalid' },
    smallestChange: { kind: 'none', sentence },
  };
}

function withoutHeaders(request: CheckedRequest, names: readonly string[]): CheckedRequest {
  if (names.length === 0) return request;
  const kept = Object.entries(request.headers ?? {}).filter(
    ([name]) => !names.includes(name.toLowerCase().replaceAll('_', '-')),
  );
  return { ...request, headers: Object.fromEntries(kept) };
}

function unknownIssuer(claims: Claims, rules: readonly TokenRule[]): string {
  const known = [...new Set(rules.map(({ issuer }) => `\`${issuer}\``))].join(', ');
  const { iss } = claims;
  if (typeof iss !== 'string') return `the token names no issuer (\`iss\`); known are ${known}`;
  return `the token's issuer \`${iss.slice(0, 200)}\` is none of ${known}`;
}

function timely(claims: Claims, rule: TokenRule, nowMs: number): string | undefined {
  const checked = checkClaims(claims, rule, nowMs);
  if (checked.ok) return undefined;
  return `the token would be refused as \`${checked.error}\` by RequestAuthentication ${rule.policy}`;
}
