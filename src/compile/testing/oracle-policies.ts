import assert from 'node:assert/strict';
import { parseTrustDomain } from '#identity';
import type { PolicyIr } from '#policy';
import { type AuthorizationPolicyResource, type MeshResource, parseResources } from '#resource';
import { compilePolicies } from '../authorization-policy.ts';
import { DOMAINS, type Random } from './authored-policies.ts';
import type { AuthoredPolicy } from './istio-rbac.ts';

/** A small generator (mulberry32) so that a failure is repeated by its seed alone. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Authored policies through the ways of `apply`: parsed, validated and normalised. */
export function compileAuthored(policies: readonly AuthoredPolicy[]): readonly PolicyIr[] {
  const [trustDomain, ...trustDomainAliases] = DOMAINS;
  const mesh = {
    apiVersion: 'palisade.dev/v1',
    kind: 'Mesh',
    spec: { trustDomain, trustDomainAliases },
  };
  const files = [mesh, ...policies].map((one) => ({ file: 'f', text: JSON.stringify(one) }));
  const parsed = parseResources(files, { defaultNamespace: 'foo' });

  const errors = parsed.diagnostics.filter(({ severity }) => severity === 'error');
  assert.deepEqual(errors, []);
  const resources = parsed.resources.map(({ resource }) => resource);
  const domain = parseTrustDomain(trustDomain);
  assert.ok(domain.ok);
  const compiled = compilePolicies({
    policies: resources.filter(
      (resource): resource is AuthorizationPolicyResource =>
        resource.kind === 'AuthorizationPolicy',
    ),
    workload: { namespace: 'foo', service: 'orders', labels: { app: 'orders' } },
    trustDomain: domain.value,
    mesh: resources.find((resource): resource is MeshResource => resource.kind === 'Mesh'),
  });
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.value;
}
