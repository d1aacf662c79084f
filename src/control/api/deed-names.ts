/** What requests do that change something, by method and path below `/api/v1`. */
const DEEDS: readonly (readonly [method: string, path: RegExp, action: string])[] = [
  ['POST', /\/policy-sets\/[^/]+\/commits$/, 'policy.commit'],
  ['POST', /\/revocations$/, 'identity.revoke'],
  ['POST', /\/silences$/, 'alert.silence'],
  ['DELETE', /\/silences\/[^/]+$/, 'alert.unsilence'],
  ['POST', /\/audit\/holds$/, 'audit.hold_add'],
  ['DELETE', /\/audit\/holds\/[^/]+$/, 'audit.hold_release'],
  ['POST', /\/sinks\/[^/]+\/test$/, 'sink.test'],
  ['POST', /\/console\/links$/, 'console.link'],
];

/**
 * The action of a request that was refused before its route could say what it does: by who asked or by the shape of its
 * body. One that is no route's is named by its method.
 */
export function deedName(method: string, path: string): string {
  const known = DEEDS.find(([verb, pattern]) => verb === method && pattern.test(path));
  return known?.[2] ?? `api.${method.toLowerCase()}`;
}
