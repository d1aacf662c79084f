import type { ReactNode } from 'react';
import type { Explanation } from '../api/denial.ts';
import { RuleTrace } from './rule-trace.tsx';
import { StateWord } from './state-word.tsx';
import { Words } from './words.tsx';

/** Every policy that was considered, rule by rule, with what failed to match. */
export function Considered({ explanation }: { explanation: Explanation }): ReactNode {
  if (explanation.considered.length === 0) {
    return (
      <p className="quiet">No policy applies to this service, so the mesh’s default decided.</p>
    );
  }
  return (
    <ol className="considered">
      {explanation.considered.map((policy) => (
        <li key={policy.policy}>
          <p className="considered-head">
            <strong>{policy.policy}</strong>
            <span className="quiet">
              {policy.action}
              {policy.dryRun && ', dry-run'}
            </span>
            {policy.matched ? (
              <StateWord tone={policy.action === 'DENY' ? 'denied' : 'allowed'}>matched</StateWord>
            ) : (
              <StateWord tone="unknown" icon="minus">
                did not match
              </StateWord>
            )}
          </p>
          <ul className="lines">
            {policy.rules.map((rule) => (
              <li key={rule.rule}>
                <span className="quiet">rule {rule.rule}</span>
                {rule.conditions === undefined ? (
                  <Words text={rule.matched ? 'matched' : rule.failed.join('; ')} />
                ) : (
                  <details>
                    <summary>
                      <Words text={rule.matched ? 'matched' : rule.failed.join('; ')} />
                    </summary>
                    <RuleTrace conditions={rule.conditions} />
                  </details>
                )}
              </li>
            ))}
          </ul>
        </li>
      ))}
    </ol>
  );
}
