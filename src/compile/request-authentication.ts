import { fail, ok, parseDuration, type Result } from '#lib';
import { type JwtRule, type RequestAuthenticationResource, ROOT_NAMESPACE } from '#resource';
import type { TokenLocation, TokenRule } from '#token';
import { type ResourceSets, resourcesOf } from './input.ts';
import { labelsMatch, type SelectedWorkload } from './selection.ts';

const DEFAULT_TIMEOUT_MS = 5_000;
// Envoy's, which Istio does not change.
const DEFAULT_SKEW_MS = 60_000;

/**
 * The token rules of all RequestAuthentications that apply to a workload, as if they were one: those
 * of the root namespace first, then its own, each by name, as authored.
 */
export function compileTokenRules(
  sets: ResourceSets,
  workload: SelectedWorkload,
): Result<readonly TokenRule[], readonly string[]> {
  const problems: string[] = [];
  const rules: TokenRule[] = [];
  for (const namespace of new Set([ROOT_NAMESPACE, workload.namespace])) {
    for (const resource of resourcesOf(sets, namespace, 'RequestAuthentication')) {
      if (!selects(resource, workload)) continue;
      for (const [index, rule] of (resource.spec.jwtRules ?? []).entries()) {
        const compiled = compileRule(rule, `${namespace}/${resource.metadata.name}`);
        if (compiled.ok) rules.push(compiled.value);
        else {
          const where = `RequestAuthentication ${namespace}/${resource.metadata.name}`;
          problems.push(`${where}: rule ${index}: ${compiled.error}`);
        }
      }
    }
  }
  return problems.length > 0 ? fail(problems) : ok(rules);
}

function selects(
  { metadata, spec }: RequestAuthenticationResource,
  workload: SelectedWorkload,
): boolean {
  const targets = spec.targetRefs ?? [];
  if (targets.length === 0) return labelsMatch(spec.selector?.matchLabels, workload.labels);
  const isOwn = metadata.namespace === workload.namespace;
  return isOwn && targets.some(({ name }) => name === workload.service);
}

function compileRule(rule: JwtRule, policy: string): Result<TokenRule, string> {
  const timeoutMs = duration(rule.timeout, DEFAULT_TIMEOUT_MS);
  const clockSkewMs = duration(rule.clockSkew, DEFAULT_SKEW_MS);
  if (!timeoutMs.ok) return fail(`timeout: ${timeoutMs.error}`);
  if (!clockSkewMs.ok) return fail(`clockSkew: ${clockSkewMs.error}`);
  // SECURITY: an issuer without keys would make all its tokens invalid, or worse, unchecked.
  if (rule.jwks === undefined && rule.jwksUri === undefined) return fail('the issuer has no keys');
  const keys =
    rule.jwks === undefined
      ? ({ kind: 'remote', uri: rule.jwksUri ?? '', timeoutMs: timeoutMs.value } as const)
      : ({ kind: 'inline', jwks: rule.jwks } as const);
  return ok({
    policy,
    issuer: rule.issuer,
    audiences: rule.audiences ?? [],
    keys,
    locations: locationsOf(rule),
    forwardOriginalToken: rule.forwardOriginalToken ?? false,
    payloadHeader: rule.outputPayloadToHeader?.toLowerCase(),
    claimHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
      header: header.toLowerCase(),
      claim,
    })),
    spaceDelimitedClaims: rule.spaceDelimitedClaims ?? [],
    clockSkewMs: clockSkewMs.value,
    dpop: rule.dpop === 'REQUIRED' ? 'require' : 'off',
    certificateBound: rule.certificateBound ?? false,
  });
}

/** Where no place is named: a bearer token in Authorization, or the parameter `access_token` (RFC 6750 section 2). */
function locationsOf(rule: JwtRule): readonly TokenLocation[] {
  const { fromHeaders = [], fromParams = [], fromCookies = [] } = rule;
  const named: readonly TokenLocation[] = [
    ...fromHeaders.map(({ name, prefix = '' }) => ({
      kind: 'header' as const,
      name: name.toLowerCase(),
      prefix,
    })),
    ...fromParams.map((name) => ({ kind: 'param' as const, name })),
    ...fromCookies.map((name) => ({ kind: 'cookie' as const, name })),
  ];
  if (named.length > 0) return named;
  // RFC 9449 section 7.1: a token that is bound to a key has a scheme of its own.
  const prefix = rule.dpop === 'REQUIRED' ? 'DPoP ' : 'Bearer ';
  return [
    { kind: 'header', name: 'authorization', prefix },
    ...(rule.dpop === 'REQUIRED' ? [] : [{ kind: 'param', name: 'access_token' } as const]),
  ];
}

function duration(text: string | undefined, fallback: number): Result<number, string> {
  return text === undefined ? ok(fallback) : parseDuration(text);
}
