import type { ReactNode } from 'react';
import type { CommitEntry, PolicySetDetail } from '../../api/policy-set.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { Facts } from '../../parts/facts.tsx';
import { SidePanel } from '../../parts/side-panel.tsx';
import { SourceView } from '../../parts/source-view.tsx';
import { formatInstant } from '../../words/format.ts';
import { lineDiff } from '../../words/line-diff.ts';
import { ChangedCallsList } from './changed-calls.tsx';
import { resourceText, versionPath } from './compared-versions.ts';

type CommitDiffProps = { commit: CommitEntry; onClose: () => void };

/** One signed change: who made it, and each resource as it was and became. */
export function CommitDiff({ commit, onClose }: CommitDiffProps): ReactNode {
  // A version never changes: it is asked for once.
  const after = useAnswer<PolicySetDetail>(versionPath(commit.namespace, commit.number), {
    once: true,
  });
  const before = useAnswer<PolicySetDetail>(
    commit.number > 1 ? versionPath(commit.namespace, commit.number - 1) : undefined,
    { once: true },
  );
  const isKnown = after.data !== undefined && (commit.number === 1 || before.data !== undefined);
  const title = `${commit.namespace}, version ${commit.number}`;
  return (
    <SidePanel label={`Signed change ${title}`} title={title} onClose={onClose}>
      <Facts
        lines={[
          ['Author', commit.author],
          ['Signed by', commit.signers.map(({ name, keyId }) => name ?? keyId).join(', ')],
          ['Signed', formatInstant(commit.time)],
          ['Received', formatInstant(commit.receivedAt)],
          ['From', commit.receivedFrom],
          ['Message', commit.message],
          ['Hash', <code key="hash">{commit.hash}</code>],
          ['Parent', commit.parent && <code key="parent">{commit.parent}</code>],
        ]}
      />
      {commit.changes.length === 0 && <p>Renewed: nothing changed but the expiry.</p>}
      {!isKnown && <AnswerNote answer={after.data === undefined ? after : before} rows={4} />}
      {isKnown &&
        commit.changes.map(({ key, change }) => (
          <section key={key}>
            <h3>
              {change} {key}
            </h3>
            <SourceView
              diff
              label={`What changed in ${key}`}
              text={lineDiff(resourceText(before.data, key), resourceText(after.data, key))}
            />
          </section>
        ))}
      {/* Last, and once all above it stands: what comes later moves nothing. */}
      {isKnown && commit.number > 1 && commit.changes.length > 0 && (
        <ChangedCallsList commit={commit} />
      )}
    </SidePanel>
  );
}
