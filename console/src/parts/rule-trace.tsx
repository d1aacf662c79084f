import type { ReactNode } from 'react';
import type { TracedCondition } from '../api/denial.ts';
import { Icon } from './icon.tsx';
import { Words } from './words.tsx';

/** The conditions of a rule as a tree: caller, operation and the rest, each alternative with its conditions. */
export function RuleTrace({ conditions }: { conditions: readonly TracedCondition[] }): ReactNode {
  if (conditions.length === 0)
    return <p className="quiet">It asks for nothing: every call fits.</p>;
  const parts = (['from', 'to', 'when'] as const).flatMap((at) => {
    const own = conditions.filter((condition) => condition.at === at);
    return own.length === 0 ? [] : [{ at, alternatives: grouped(own) }];
  });
  return (
    <ul className="trace">
      {parts.map(({ at, alternatives }) => (
        <li key={at}>
          <span className="quiet">{WORDS[at]}</span>
          <ul>
            {alternatives.map((alternative, index) => (
              <li key={index}>
                {alternatives.length > 1 && <span className="quiet">either {index + 1}</span>}
                <ul>
                  {alternative.map((condition) => (
                    <li key={condition.index} data-tone={condition.holds ? 'allowed' : 'denied'}>
                      <Icon name={condition.holds ? 'check' : 'cross'} />
                      <span className="visually-hidden">
                        {condition.holds ? 'holds: ' : 'fails: '}
                      </span>
                      <Words text={condition.sentence} />
                    </li>
                  ))}
                </ul>
              </li>
            ))}
          </ul>
        </li>
      ))}
    </ul>
  );
}

const WORDS = { from: 'the caller', to: 'the call', when: 'and besides' } as const;

function grouped(conditions: readonly TracedCondition[]): readonly (readonly TracedCondition[])[] {
  const groups = new Map<number, TracedCondition[]>();
  for (const condition of conditions) {
    const group = groups.get(condition.alternative) ?? [];
    group.push(condition);
    groups.set(condition.alternative, group);
  }
  return [...groups.values()];
}
