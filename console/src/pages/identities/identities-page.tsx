import { type ReactNode, useCallback, useMemo } from 'react';
import type { Identity, IdentityPage } from '../../api/identity.ts';
import { isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { useNow } from '../../live/use-now.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { DataTable } from '../../parts/data-table.tsx';
import { MoreNote } from '../../parts/more-note.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { apiPath } from '../../route/query.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { formatAgo, formatNoun, toMs } from '../../words/format.ts';
import { shortName } from '../../words/names.ts';
import { HorizonChart } from './horizon-chart.tsx';
import { IDENTITY_COLUMNS } from './identity-columns.tsx';
import { RevokePanel, usePreview } from './revoke-panel.tsx';
import { parseRevocation, revokeCommand } from './revoke-scope.ts';
import { WhatExpires } from './what-expires.tsx';

const CLOSED = { revoke: undefined, serial: undefined, scope: undefined, row: undefined };
const keyOf = (identity: Identity): string => `${identity.logNumber}`;

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
  const revocation = parseRevocation(query);
  const preview = usePreview(revocation);
  const close = useCallback(() => setQuery(CLOSED), [setQuery]);
  return (
    <div className="page">
      <PageHead
        title="Identities"
        sentence={answer.data && identitiesSentence(answer.data, nowMs)}
        answer={answer}
        command={
          revocation === undefined
            ? commandLine(['identity', 'list'], [['all', showAll || undefined]])
            : revokeCommand(revocation, { dryRun: true })
        }
        exported={{ name: 'palisade-identities', columns: IDENTITY_COLUMNS, rows }}
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
      <MoreNote page={answer.data} of="certificates" command="palisade identity list" />
      {answer.data !== undefined && rows.length === 0 && (
        <Empty title={search === '' ? 'No identity was issued yet.' : 'No identity fits.'}>
          A workload gets one when its sidecar or its own SPIFFE library asks the agent for it.
        </Empty>
      )}
      <div className="split" data-open={revocation === undefined ? undefined : ''}>
        <div className="split-main">
          {rows.length > 0 && <IdentityRows rows={rows} onClose={close} />}
        </div>
        {revocation !== undefined && isSettled(answer) && (
          <RevokePanel
            revocation={revocation}
            answer={preview}
            onChange={setQuery}
            onClose={close}
          />
        )}
      </div>
      {/* Once what stands above it has its height, so that nothing moves. */}
      {answer.data !== undefined && (revocation === undefined || isSettled(preview)) && (
        <WhatExpires />
      )}
    </div>
  );
}

function IdentityRows(props: { rows: readonly Identity[]; onClose: () => void }): ReactNode {
  const [query, setQuery] = useQuery();
  const open = (identity: Identity): void =>
    setQuery({
      revoke: identity.spiffeId,
      serial: identity.serial,
      scope: undefined,
      row: keyOf(identity),
    });
  return (
    <>
      <HorizonChart identities={props.rows} />
      <p className="quiet">Open an identity to see what revoking it would cut.</p>
      <DataTable
        label="Identities"
        columns={IDENTITY_COLUMNS}
        rows={props.rows}
        keyOf={keyOf}
        selectedKey={query.get('row') ?? undefined}
        onOpen={open}
        onClose={props.onClose}
        minWidth="72rem"
      />
    </>
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
