import type { ReactNode } from 'react';
import type { Page } from '../../api/page.ts';
import type { CommitEntry } from '../../api/policy-set.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { useQuery } from '../../route/use-place.ts';
import { CommitDiff } from './commit-diff.tsx';
import { comparePlace } from './compared-versions.ts';

const COLUMNS: readonly Column<CommitEntry>[] = [
  {
    head: 'Version',
    width: '5rem',
    align: 'end',
    value: (commit) => commit.number,
    cell: (commit) => (
      <>
        <span className="only-stacked">Version </span>
        {commit.number}
      </>
    ),
    stacked: 'title',
  },
  {
    head: 'When',
    width: '7rem',
    value: (commit) => commit.time,
    cell: (commit) => <Moment at={commit.time} />,
  },
  {
    head: 'Author',
    width: '9rem',
    value: (commit) => commit.author,
    cell: (commit) => <span className="clip">{commit.author}</span>,
  },
  {
    head: 'Signed by',
    width: '9rem',
    value: signersOf,
    cell: (commit) => <span className="clip">{signersOf(commit)}</span>,
  },
  {
    head: 'Changes',
    value: changesOf,
    cell: (commit) => <span title={commit.message ?? undefined}>{changesOf(commit)}</span>,
  },
];

/** The signed changes of a namespace, newest first. */
export function CommitHistory(props: { namespace: string }): ReactNode {
  const [query, setQuery] = useQuery();
  const close = (): void => setQuery({ version: undefined });
  const path = `/policy-sets/${encodeURIComponent(props.namespace)}/commits?limit=20`;
  const answer = useAnswer<Page<CommitEntry>>(path, { topics: ['policy'] });
  const opened = answer.data?.items.find(
    (commit) => String(commit.number) === query.get('version'),
  );
  return (
    <section aria-labelledby="history" className="section">
      <div className="section-head">
        <h2 id="history">Signed changes of {props.namespace}</h2>
        {(answer.data?.items.length ?? 0) > 1 && (
          <Link to={comparePlace(props.namespace)}>Compare two versions</Link>
        )}
      </div>
      <AnswerNote answer={answer} rows={3} />
      {answer.data !== undefined && (
        <DataTable
          label={`Signed changes of ${props.namespace}`}
          columns={COLUMNS}
          rows={answer.data.items}
          keyOf={(commit) => commit.hash}
          minWidth="42rem"
          selectedKey={opened?.hash}
          onOpen={(commit) => setQuery({ ns: commit.namespace, version: String(commit.number) })}
          onClose={close}
        />
      )}
      {opened !== undefined && <CommitDiff key={opened.hash} commit={opened} onClose={close} />}
    </section>
  );
}

function signersOf(commit: CommitEntry): string {
  return commit.signers.map((signer) => signer.name ?? signer.keyId.slice(0, 12)).join(', ');
}

function changesOf(commit: CommitEntry): string {
  if (commit.changes.length === 0) return 'renewed, nothing changed';
  const shown = commit.changes.slice(0, 3).map(({ key, change }) => `${change} ${key}`);
  const more = commit.changes.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}
