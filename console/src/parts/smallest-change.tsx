import type { ReactNode } from 'react';
import type { SmallestChange as Change } from '../api/denial.ts';
import { CopyButton } from './copy-button.tsx';
import { SourceView } from './source-view.tsx';
import { Words } from './words.tsx';

/** The smallest change that would allow a call, as a sentence and a diff or a new resource. */
export function SmallestChange(props: { change: Change | null | undefined }): ReactNode {
  const { change } = props;
  if (change === null || change === undefined) {
    return <p className="quiet">No change is needed: the call would be allowed now.</p>;
  }
  // Against nothing a new policy is all additions: the policy itself reads better.
  const diff = change.kind === 'add_policy' ? '' : (change.diff ?? '');
  const text = diff === '' ? (change.yaml ?? '') : diff;
  return (
    <div className="change">
      <p>
        <Words text={capitalized(change.sentence)} />
      </p>
      {text !== '' && (
        <SourceView
          text={text}
          diff={diff !== ''}
          label={change.policy === undefined ? 'New policy' : `Change of ${change.policy}`}
        />
      )}
      {change.yaml !== undefined && (
        <>
          <p className="quiet">
            Allow it only if the caller should be here at all. Save the policy, try it on the
            recorded calls with <code>palisade diff -f FILE</code>, then sign and apply it with{' '}
            <code>palisade apply -f FILE</code>.
          </p>
          <span>
            <CopyButton text={change.yaml} label="Copy the whole policy" words="Copy the policy" />
          </span>
        </>
      )}
    </div>
  );
}

/** A proposal begins with what to do, never with a name, so it may begin like a sentence. */
function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
