import type { ReactNode } from 'react';
import type { Horizon, HorizonItem } from '../../api/horizon.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Breakable } from '../../parts/spiffe-id.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { apiPath } from '../../route/query.ts';

const KINDS: Readonly<Record<string, string>> = {
  root: 'Root',
  issuer: 'Issuer',
  authority: 'Certificate of the authority',
  control: 'Certificate of the control plane',
  policy: 'Policy set',
  jwt_key: 'Key for tokens',
  join_token: 'Join token',
  foreign_bundle: 'Bundle of a foreign trust domain',
};

const STATES: Readonly<Record<HorizonItem['state'], { tone: Tone; words: string }>> = {
  ok: { tone: 'allowed', words: 'in time' },
  soon: { tone: 'stale', words: 'soon' },
  expired: { tone: 'denied', words: 'expired' },
};

const COLUMNS: readonly Column<HorizonItem>[] = [
  {
    head: 'What',
    width: '14rem',
    value: (item) => item.kind,
    cell: (item) => KINDS[item.kind] ?? item.kind,
    stacked: 'title',
  },
  {
    head: 'Name',
    value: (item) => item.name,
    cell: (item) => <Breakable text={item.name} />,
  },
  {
    head: 'Expires',
    width: '8rem',
    value: (item) => item.expiresAt,
    cell: (item) => <Moment at={item.expiresAt} />,
  },
  {
    head: 'State',
    width: '7rem',
    value: (item) => item.state,
    cell: (item) => (
      <StateWord tone={STATES[item.state].tone}>{STATES[item.state].words}</StateWord>
    ),
  },
  {
    head: 'What helps',
    width: '24rem',
    value: (item) => item.fix,
    cell: (item) => <Breakable text={item.fix} />,
  },
];

/** What expires besides workloads' certificates, soonest first, with what helps. */
export function WhatExpires(): ReactNode {
  const answer = useAnswer<Horizon>(apiPath('/horizon', {}), { topics: ['identities'] });
  // Sidecars' certificates are the page's own table.
  const rows = answer.data?.items.filter(({ kind }) => kind !== 'point') ?? [];
  return (
    <section className="section" aria-labelledby="what-expires">
      <h2 id="what-expires">What else expires</h2>
      <AnswerNote answer={answer} rows={4} />
      {answer.data !== undefined && answer.data.problem !== '' && (
        <StateWord tone="stale">the authority could not be asked: {answer.data.problem}</StateWord>
      )}
      {rows.length > 0 && (
        <DataTable
          label="What else expires"
          columns={COLUMNS}
          rows={rows}
          keyOf={(item) => `${item.kind} ${item.name}`}
          minWidth="60rem"
        />
      )}
    </section>
  );
}
