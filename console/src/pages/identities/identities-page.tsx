import { type ReactNode, useMemo } from 'react';
import type { Identity, IdentityPage } from '../../api/identity.ts';
import { useAnswer } from '../../live/use-live.ts';
import { useNow } from '../../live/use-now.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { Breakable, SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { apiPath, patchQuery } from '../../route/query.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { formatAgo, formatNoun, toMs } from '../../words/format.ts';
import { shortName } from '../../words/names.ts';
import { HorizonChart } from './horizon-chart.tsx';
import { WhatExpires } from './what-expires.tsx';

const COLUMNS: readonly Column<Identity>[] = [
  {
    head: 'Identity',
    value: (identity) => identity.spiffeId,
    cell: (identity) => (
      <span className="identity">
        <strong>{shortName(identity.spiffeId)}</strong>
        <SpiffeIdText id={identity.spiffeId} />
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'Expires',
    width: '7rem',
    value: (identity) => identity.expiresAt,
    cell: (identity) => <Moment at={identity.expiresAt} />,
  },
  {
    head: 'Issued',
    width: '7rem',
    value: (identity) => identity.issuedAt,
    cell: (identity) => <Moment at={identity.issuedAt} />,
  },
  {
    head: 'Serial',
    width: '9rem',
    value: (identity) => identity.serial,
    cell: (identity) => (
      <code className="clip" title={identity.serial}>
        {identity.serial}
      </code>
    ),
  },
  {
    head: 'Attested by',
    width: '16rem',
    value: (identity) => identity.selectors.join(' '),
    cell: (identity) => <Selectors selectors={identity.selectors} />,
  },
  {
    head: 'Allowed by',
    width: '11rem',
    value: (identity) => identity.allowedBy,
    cell: (identity) => <AllowedBy allowedBy={identity.allowedBy} />,
  },
  {
    head: 'Log',
    width: '4rem',
    align: 'end',
    value: (identity) => identity.logNumber,
    cell: (identity) => identity.logNumber,
  },
];

/** Who is who, and until when? */
export function IdentitiesPage(): ReactNode {
  const [query, setQuery] = useQuery();
  const showAll = query.get('all') === 'true';
  const search = query.get('q') ?? '';
  const answer = useAnswer<IdentityPage>(
    apiPath('/identities', { current: showAll ? undefined : 'true', limit: '1000' }),
    { topics: ['identities'] },
  );
  const rows = useMemo(
    () => matchIdentities(answer.data?.items ?? [], search),
    [answer.data, search],
  );
  const nowMs = useNow();
  return (
    <div className="page">
      <PageHead
        title="Identities"
        sentence={answer.data && identitiesSentence(answer.data, nowMs)}
        answer={answer}
        command={commandLine(['identity', 'list'], [['all', showAll || undefined]])}
        exported={{ name: 'palisade-identities', columns: COLUMNS, rows }}
      />
      <div className="toolbar">
        <SearchBox
          label="Search identities"
          placeholder="Name, serial or selector"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={showAll}
            onChange={(event) => setQuery({ all: event.target.checked ? 'true' : undefined })}
          />
          Every certificate, not only the newest of each
        </label>
        {answer.data !== undefined && <LogState page={answer.data} />}
      </div>
      <AnswerNote answer={answer} rows={8} />
      {answer.data !== undefined && rows.length === 0 && (
        <Empty title={search === '' ? 'No identity was issued yet.' : 'No identity fits.'}>
          A workload gets one when its sidecar or its own SPIFFE library asks the agent for it.
        </Empty>
      )}
      {rows.length > 0 && (
        <>
          <HorizonChart identities={rows} />
          <DataTable
            label="Identities"
            columns={COLUMNS}
            rows={rows}
            keyOf={(identity) => `${identity.logNumber}`}
            minWidth="72rem"
          />
        </>
      )}
      {/* Once what stands above it has its height, so that nothing moves. */}
      {answer.data !== undefined && <WhatExpires />}
    </div>
  );
}

/** The selector that says most in view, the others on demand. */
function Selectors(props: { selectors: readonly string[] }): ReactNode {
  const [first, ...others] = props.selectors.toSorted(bySaying);
  if (first === undefined) return <span className="quiet">none recorded</span>;
  if (others.length === 0) return <Breakable text={first} />;
  return (
    <details className="selectors">
      <summary>
        <Breakable text={first} />
        <span className="quiet"> and {others.length} more</span>
      </summary>
      {others.map((selector) => (
        <span key={selector} className="line">
          <Breakable text={selector} />
        </span>
      ))}
    </details>
  );
}

/** What the mesh introduced says most, then the program, then the user. */
function bySaying(a: string, b: string): number {
  const kinds = ['palisade:', 'unix:path:', 'unix:user:'];
  const rank = (selector: string): number => {
    const at = kinds.findIndex((kind) => selector.startsWith(kind));
    return at < 0 ? kinds.length : at;
  };
  return rank(a) - rank(b);
}

/** The log names the signed policy set that allowed it as `namespace@version`. */
function AllowedBy(props: { allowedBy: string }): ReactNode {
  const [, namespace, version] = /^(.+)@(\d+)$/.exec(props.allowedBy) ?? [];
  if (namespace === undefined) return <Breakable text={props.allowedBy} />;
  return (
    <Link to={`/policies${patchQuery('', { ns: namespace })}`}>
      {namespace}, version {version}
    </Link>
  );
}

function LogState({ page }: { page: IdentityPage }): ReactNode {
  if (!page.reachable || page.log === null) {
    return (
      <StateWord tone="stale">
        the issuance log cannot be read{page.reason === '' ? '' : `: ${page.reason}`}
      </StateWord>
    );
  }
  if (!page.log.verified) {
    return <StateWord tone="denied">the issuance log does not verify: {page.log.reason}</StateWord>;
  }
  return <StateWord tone="allowed">issuance log verified to entry {page.log.number}</StateWord>;
}

function identitiesSentence(page: IdentityPage, nowMs: number): string {
  const current = page.items.filter((identity) => identity.current);
  if (current.length === 0) return 'No identity is valid now.';
  const first = current.reduce((a, b) => (a.expiresAt < b.expiresAt ? a : b));
  const expiry = formatAgo(toMs(first.expiresAt), nowMs);
  const verb = current.length === 1 ? 'is' : 'are';
  return `${formatNoun(current.length, 'identity', 'identities')} ${verb} valid; the first to end is ${shortName(first.spiffeId)}, ${expiry}.`;
}

function matchIdentities(identities: readonly Identity[], text: string): readonly Identity[] {
  const wanted = text.trim().toLowerCase();
  const rows = identities.toSorted((a, b) => (a.expiresAt < b.expiresAt ? -1 : 1));
  if (wanted === '') return rows;
  return rows.filter((identity) =>
    [identity.spiffeId, identity.serial, identity.allowedBy, ...identity.selectors]
      .join('\n')
      .toLowerCase()
      .includes(wanted),
  );
}
