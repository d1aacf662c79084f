import type { ReactNode } from 'react';
import type { PolicySetDetail } from '../../api/policy-set.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { SourceView } from '../../parts/source-view.tsx';
import { lineDiff } from '../../words/line-diff.ts';
import {
  changedResources,
  resourceText,
  type VersionPair,
  versionPath,
} from './compared-versions.ts';

/** What differs between the texts of two versions, folded away by resource. */
export function ComparedResources(props: { namespace: string; pair: VersionPair }): ReactNode {
  const { namespace, pair } = props;
  const before = useAnswer<PolicySetDetail>(versionPath(namespace, pair.before), { once: true });
  const after = useAnswer<PolicySetDetail>(versionPath(namespace, pair.after), { once: true });
  const [was, is] = [before.data, after.data];
  // A version that is not kept is said above; twice would be noise.
  const failed = [before, after].find(({ failure }) => failure && failure.code !== 'not_found');
  const changes = was && is ? changedResources(was, is) : [];
  if (failed !== undefined) return <AnswerNote answer={failed} />;
  if (was === undefined || is === undefined) return null;
  return (
    <section aria-labelledby="compared-resources" className="compared">
      <h3 id="compared-resources">What was written differently</h3>
      {changes.length === 0 && <p className="quiet">Nothing: their resources are the same.</p>}
      {changes.map(({ key, change }) => (
        <details key={key} className="compared-resource">
          <summary>
            {change} <strong>{key}</strong>
          </summary>
          <SourceView
            diff
            label={`What changed in ${key}`}
            text={lineDiff(resourceText(was, key), resourceText(is, key))}
          />
        </details>
      ))}
    </section>
  );
}
