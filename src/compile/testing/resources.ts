import assert from 'node:assert/strict';
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '#identity';
import { parseResources, type Resource } from '#resource';
import type { ResourceSets } from '../input.ts';

/** The trust domain of the tests. */
export const TRUST_DOMAIN = (() => {
  const parsed = parseTrustDomain('cluster.local');
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
})();

/** The resources of a YAML text; fails the test on any error in it. */
export function resourcesFrom(text: string): readonly Resource[] {
  const parsed = parseResources([{ file: 'test.yaml', text }], { defaultNamespace: 'default' });
  assert.deepEqual(
    parsed.diagnostics.filter((found) => found.severity === 'error'),
    [],
  );
  return parsed.resources.map(({ resource }) => resource);
}

/** The resources of a YAML text as the sets of their namespaces, each with number 1. */
export function setsFrom(text: string): ResourceSets {
  const sets = new Map<string, { number: number; hash: string; resources: Resource[] }>();
  for (const resource of resourcesFrom(text)) {
    const { namespace } = resource.metadata;
    const set = sets.get(namespace) ?? { number: 1, hash: 'aa', resources: [] };
    set.resources.push(resource);
    sets.set(namespace, set);
  }
  return sets;
}

/** The identity of an account. */
export function idOf(namespace: string, account: string): SpiffeId {
  const parsed = parseSpiffeId(`spiffe://cluster.local/ns/${namespace}/sa/${account}`);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A Service in short form with one HTTP port 80. */
export function serviceYaml(namespace: string, name: string, more = ''): string {
  return `
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  ports: [{name: http, port: 80, protocol: http}]
${more}
---
`;
}

/** An AuthorizationPolicy with a spec in YAML's flow form. */
export function policyYaml(namespace: string, name: string, spec: string): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
---
`;
}

/** A PeerAuthentication with a spec in YAML's flow form. */
export function peerYaml(namespace: string, name: string, spec: string): string {
  return `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
---
`;
}

/** The Mesh with a spec in YAML's flow form. */
export function meshYaml(spec: string): string {
  return `
apiVersion: palisade.dev/v1
kind: Mesh
metadata: {name: mesh, namespace: palisade-system}
spec: ${spec}
---
`;
}
