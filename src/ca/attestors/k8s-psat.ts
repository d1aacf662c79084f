import { fail, ok } from '#lib';
import type { NodeAttestorSpec } from '#resource';
import type { AttestedHost, NodeAttestor } from './node-attestor.ts';
import { type PlatformClaims, textClaim, verifyPlatformToken } from './platform-token.ts';

type Cluster = NonNullable<NodeAttestorSpec['k8sPsat']>;

/** A service account token projected into the agent's pod, verified by the cluster's published keys. */
export const k8sPsat: NodeAttestor = {
  strength: 'kubernetes',
  begin({ cluster, token }, { specs, nowMs }) {
    const spec = specs.find((each) => each.k8sPsat?.cluster === cluster)?.k8sPsat;
    if (spec === undefined) return fail(`no NodeAttestor with \`k8sPsat\` is for the cluster`);
    const claims = verifyPlatformToken(token, { ...spec, nowMs });
    if (!claims.ok) return claims;
    if (claims.value['iss'] !== spec.issuer) return fail('the token is of another issuer');
    const host = hostOf(claims.value, spec);
    return typeof host === 'string' ? fail(host) : ok({ kind: 'attested', host });
  },
};

function hostOf(claims: PlatformClaims, spec: Cluster): AttestedHost | string {
  const of = (...path: readonly string[]) => textClaim(claims, 'kubernetes.io', ...path);
  const namespace = of('namespace');
  const account = of('serviceaccount', 'name');
  const podUid = of('pod', 'uid');
  if (namespace === undefined || account === undefined || podUid === undefined) {
    return 'the token is not bound to a pod: project it with `serviceAccountToken`';
  }
  if (!spec.serviceAccounts.includes(`${namespace}:${account}`)) {
    return `the service account \`${namespace}:${account}\` may not attest`;
  }
  const node = of('node', 'name');
  // Kubernetes 1.29 and later name the node in the token; before, the pod stands for it.
  const unique = of('node', 'uid') ?? podUid;
  return {
    agent: `k8s_psat/${spec.cluster}.${unique}`,
    // Each agent pod has tokens of its own, and shows them to nobody else than this authority.
    isFirstUseOnly: false,
    selectors: [
      `k8s_psat:cluster:${spec.cluster}`,
      `k8s_psat:agent_ns:${namespace}`,
      `k8s_psat:agent_sa:${account}`,
      `k8s_psat:agent_pod_uid:${podUid}`,
      ...(node === undefined ? [] : [`k8s_psat:agent_node_name:${node}`]),
    ],
  };
}
