import { type ReactNode, useId } from 'react';
import type { DryRunTally } from '../../api/dry-run.ts';
import type { Page } from '../../api/page.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { MoreNote } from '../../parts/more-note.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { formatCount } from '../../words/format.ts';
import { dryRunEffects, effectSentence } from './dry-run-effects.ts';

/** What policies in dry-run would have changed, by policy and caller. */
export function DryRunView(): ReactNode {
  const id = useId();
  const answer = useAnswer<Page<DryRunTally>>('/dry-run?since=24h&limit=1000', {
    topics: ['denials'],
  });
  const effects = dryRunEffects(answer.data?.items ?? []);
  return (
    <section aria-labelledby={`${id}-title`} className="view">
      <h2 id={`${id}-title`}>What policies in dry-run would do</h2>
      <AnswerNote answer={answer} rows={4} />
      <MoreNote page={answer.data} of="sums" command="palisade status --dry-run --since 24h" />
      {answer.data !== undefined && effects.length === 0 && (
        <Empty title="No policy in dry-run saw a call in the last day.">
          Annotate a policy with <code>istio.io/dry-run: "true"</code> to try it without enforcing
          it.
        </Empty>
      )}
      {effects.map((effect) => (
        <article key={effect.policy} className="effect">
          <h3>{effect.policy}</h3>
          <p>
            <StateWord tone={effect.wouldDeny > 0 ? 'denied' : 'allowed'}>
              {effectSentence(effect)}
            </StateWord>
          </p>
          {effect.changes.length > 0 && (
            // A block that scrolls must be reachable by keyboard.
            <div
              className="wide"
              role="region"
              aria-label={`Calls that ${effect.policy} would change`}
              tabIndex={0}
            >
              <table>
                <thead>
                  <tr>
                    <th scope="col">Caller</th>
                    <th scope="col">Service</th>
                    <th scope="col">Now</th>
                    <th scope="col">Would be</th>
                    <th scope="col" className="number">
                      Calls
                    </th>
                    <th scope="col">For example</th>
                  </tr>
                </thead>
                <tbody>
                  {effect.changes.map((change) => (
                    <tr key={`${change.source} ${change.destination} ${change.would}`}>
                      <td>{change.source}</td>
                      <td>{change.destination}</td>
                      <td>{WORDS[change.verdict]}</td>
                      <td>{WORDS[change.would]}</td>
                      <td className="number">{formatCount(change.count)}</td>
                      <td>
                        <code>
                          {change.sample.method} {change.sample.path}
                        </code>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </article>
      ))}
    </section>
  );
}

const WORDS = { allow: 'allowed', deny: 'denied' } as const;
