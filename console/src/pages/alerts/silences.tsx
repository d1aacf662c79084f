import type { ReactNode } from 'react';
import type { Silence } from '../../api/alert.ts';
import type { Page } from '../../api/page.ts';
import { useAnswer } from '../../live/use-live.ts';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';

const COLUMNS: readonly Column<Silence>[] = [
  {
    head: 'Silenced',
    value: matched,
    cell: (silence) => <code>{matched(silence)}</code>,
    stacked: 'title',
  },
  {
    head: 'Owner',
    width: '9rem',
    value: (silence) => silence.owner,
    cell: (silence) => silence.owner,
  },
  {
    head: 'Ends',
    width: '7rem',
    value: (silence) => silence.ends_at,
    cell: (silence) => <Moment at={silence.ends_at} />,
  },
  {
    head: 'Reason',
    width: '40%',
    value: (silence) => silence.reason,
    cell: (silence) => silence.reason ?? <span className="quiet">none given</span>,
    stacked: 'wide',
  },
];

/** What is silenced, by whom and until when. Nothing where nothing is. */
export function Silences(): ReactNode {
  const answer = useAnswer<Page<Silence>>('/silences', { topics: ['alerts'] });
  const silences = answer.data?.items ?? [];
  if (silences.length === 0) return null;
  return (
    <section className="section" aria-labelledby="silences">
      <h2 id="silences">Silences</h2>
      <DataTable
        label="Silences"
        columns={COLUMNS}
        rows={silences}
        keyOf={(silence) => silence.id}
        minWidth="40rem"
      />
    </section>
  );
}

function matched(silence: Silence): string {
  const labels = Object.entries(silence.matchers ?? {}).map(([name, value]) => `${name}=${value}`);
  return [silence.alert, ...labels].filter(Boolean).join(' ') || silence.id;
}
