import type { AuthorizationPolicyResource } from './authorization-policy.ts';
import type { ReportAt } from './cross-check-selection.ts';
import { ROOT_NAMESPACE } from './metadata.ts';
import type { World } from './world.ts';

/**
 * Warns of rules that judge users' tokens where no RequestAuthentication of the policy's namespace or
 * of the root namespace says whose tokens are valid: without one, no request ever has claims.
 */
export function checkTokens(
  world: World,
  policy: AuthorizationPolicyResource,
  report: ReportAt,
): void {
  // Without any Service the resources are a part of something larger, and nothing can be said.
  if (world.services.length === 0) return;
  const { namespace } = policy.metadata;
  if (world.tokenNamespaces.has(namespace) || world.tokenNamespaces.has(ROOT_NAMESPACE)) return;
  // A policy of the root namespace is for all others, any of which may have one.
  if (namespace === ROOT_NAMESPACE && world.tokenNamespaces.size > 0) return;
  for (const path of tokenConditions(policy)) {
    report('warning', path, {
      code: 'no_token_issuer',
      message: `the rule judges users' tokens, and no RequestAuthentication of \`${namespace}\` says whose are valid`,
      help: 'add one with the `issuer` and its `jwksUri`; without it no request has claims',
    });
  }
}

function tokenConditions(
  policy: AuthorizationPolicyResource,
): readonly (readonly (string | number)[])[] {
  return policy.spec.rules.flatMap((rule, i) => [
    ...(rule.from ?? []).flatMap(({ source }, j) =>
      Object.keys(source)
        .filter((key) => /requestPrincipals$/i.test(key))
        .map((key) => ['spec', 'rules', i, 'from', j, 'source', key]),
    ),
    ...(rule.when ?? []).flatMap(({ key }, j) =>
      key.startsWith('request.auth.') ? [['spec', 'rules', i, 'when', j, 'key']] : [],
    ),
  ]);
}
