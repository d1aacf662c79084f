import type { ReactNode } from 'react';
import type { Page } from '../../api/page.ts';
import type { CommitEntry } from '../../api/policy-set.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { usePages } from '../../live/use-pages.ts';
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
  const path = `/policy-sets/${encodeURIComponent(props.namespace)}/commits`;
  const { answer, hasOlder, loadOlder } = usePages<CommitEntry>(
    `${path}?limit=20`,
    (commit) => commit.hash,
    { topics: ['policy'] },
  );
  const asked = query.get('version');
  const named = useNamedCommit(path, asked, answer.data);
  const opened = named.data;
  return (
    <section aria-labelledby="history" className="section">
      <div className="section-head">
        <h2 id="history">Signed changes of {props.namespace}</h2>
        {(answer.data?.length ?? 0) > 1 && (
          <Link to={comparePlace(props.namespace)}>Compare two versions</Link>
        )}
      </div>
      <AnswerNote answer={answer} rows={3} />
      {answer.data !== undefined && (
        <DataTable
          label={`Signed changes of ${props.namespace}`}
          columns={COLUMNS}
          rows={answer.data}
          keyOf={(commit) => commit.hash}
          minWidth="42rem"
          selectedKey={opened?.hash}
          onOpen={(commit) => setQuery({ ns: commit.namespace, version: String(commit.number) })}
          onClose={close}
        />
      )}
      {hasOlder && (
        <button type="button" className="button" onClick={loadOlder}>
          Older changes
        </button>
      )}
      {asked !== null && opened === undefined && named.heardAt !== undefined && (
        <p className="quiet" role="status">
          There is no version {asked} of {props.namespace}.
        </p>
      )}
      {opened !== undefined && <CommitDiff key={opened.hash} commit={opened} onClose={close} />}
    </section>
  );
}

/** The version that an address names, also where it is not among the newest. */
function useNamedCommit(
  path: string,
  asked: string | null,
  rows: readonly CommitEntry[] | undefined,
): Answer<CommitEntry> {
  const ofAsked = (commit: CommitEntry): boolean => String(commit.number) === asked;
  const listed = rows?.find(ofAsked);
  // A cursor is the number that a page lies before.
  const isAsked = rows !== undefined && listed === undefined && /^\d{1,10}$/.test(asked ?? '');
  const named = useAnswer<Page<CommitEntry>>(
    isAsked ? `${path}?limit=1&cursor=${Number(asked) + 1}` : undefined,
    { once: true },
  );
  return { ...named, data: listed ?? named.data?.items.find(ofAsked) };
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
