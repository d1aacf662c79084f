import type { Condition } from './condition.ts';
import { authorityConditions, policySetConditions } from './detect-authority.ts';
import { evidenceConditions } from './detect-evidence.ts';
import { pointConditions } from './detect-points.ts';
import { trafficConditions } from './detect-traffic.ts';
import type { MeshFacts } from './facts.ts';

/** Everything that needs a person, as of these facts; the error budgets' alerts come from `burningConditions`. */
export function detect(facts: MeshFacts): readonly Condition[] {
  return [
    ...policySetConditions(facts),
    ...facts.points.flatMap((point) => pointConditions(point, facts.nowMs)),
    ...authorityConditions(facts),
    ...trafficConditions(facts),
    ...evidenceConditions(facts),
  ];
}
