import type { ReportAt } from './cross-check-selection.ts';
import type { Resource } from './resource.ts';
import type { TrustDomainFederationResource } from './trust-domain-federation.ts';

/** SECURITY: of two words on whom to believe for one trust domain, neither may win by chance. */
export function checkFederation(
  resource: TrustDomainFederationResource,
  all: readonly Resource[],
  report: ReportAt,
): void {
  const rival = all.find(
    (other) =>
      other.kind === 'TrustDomainFederation' &&
      other.metadata.name !== resource.metadata.name &&
      other.spec.trustDomain === resource.spec.trustDomain,
  );
  if (rival === undefined) return;
  report('error', ['spec', 'trustDomain'], {
    code: 'duplicate_resource',
    message: `\`TrustDomainFederation/${rival.metadata.name}\` is about \`${resource.spec.trustDomain}\` too`,
    help: 'keep one for each trust domain',
  });
}
