import { fail, ok } from '#lib';
import type { NodeAttestor } from './node-attestor.ts';
import { textClaim, verifyPlatformToken } from './platform-token.ts';

/** The token of an Azure machine's managed identity. */
export const azureMsi: NodeAttestor = {
  strength: 'token',
  begin({ token }, { specs, nowMs }) {
    const configured = specs.flatMap(({ azureMsi: spec }) => (spec === undefined ? [] : [spec]));
    if (configured.length === 0) return fail('no NodeAttestor with `azureMsi` is applied');
    let problem = '';
    for (const spec of configured) {
      const claims = verifyPlatformToken(token, { ...spec, nowMs });
      if (!claims.ok) {
        problem = claims.error;
        continue;
      }
      const tenant = textClaim(claims.value, 'tid');
      const principal = textClaim(claims.value, 'oid');
      if (tenant === undefined || principal === undefined) {
        problem = 'the token names no tenant or no principal';
      } else if (!isIssuedBy(claims.value['iss'], tenant)) {
        problem = "the token is not of its tenant's issuer";
      } else if (!spec.tenants.includes(tenant)) {
        problem = `machines of the tenant \`${tenant}\` may not attest`;
      } else {
        const host = {
          agent: `azure_msi/${tenant}.${principal}`,
          selectors: [`azure_msi:tenant-id:${tenant}`, ...machineSelectors(claims.value)],
          isFirstUseOnly: !spec.again.includes(principal),
        };
        return ok({ kind: 'attested', host });
      }
    }
    return fail(problem);
  },
};

function isIssuedBy(issuer: unknown, tenant: string): boolean {
  return (
    issuer === `https://sts.windows.net/${tenant}/` ||
    issuer === `https://login.microsoftonline.com/${tenant}/v2.0`
  );
}

// `xms_mirid` is the resource that the identity belongs to:
// /subscriptions/ID/resourcegroups/GROUP/providers/Microsoft.Compute/virtualMachines/NAME
const MACHINE =
  /^\/subscriptions\/([^/]{1,64})\/resourcegroups\/([^/]{1,90})\/providers\/Microsoft\.Compute\/virtualMachines\/([^/]{1,64})$/i;

function machineSelectors(claims: unknown): readonly string[] {
  const [, subscription, group, name] = MACHINE.exec(textClaim(claims, 'xms_mirid') ?? '') ?? [];
  if (subscription === undefined) return [];
  return [
    `azure_msi:subscription-id:${subscription}`,
    `azure_msi:resource-group:${group}`,
    `azure_msi:vm-name:${name}`,
  ];
}
