import type { ReactNode } from 'react';
import type { Silence } from '../../api/alert.ts';
import type { Page } from '../../api/page.ts';
import { useAnswer } from '../../live/use-live.ts';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { commandLine } from '../../words/command.ts';

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
    width: '26%',
    value: (silence) => silence.reason,
    cell: (silence) => silence.reason,
    stacked: 'wide',
  },
  {
    head: 'To end it',
    width: '20rem',
    value: endCommand,
    cell: (silence) => <CopyCommand command={endCommand(silence)} />,
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
        minWidth="56rem"
      />
    </section>
  );
}

function matched({ match }: Silence): string {
  const labels = Object.entries(match.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return [match.id, match.name, ...labels].filter(Boolean).join(' ');
}

function endCommand(silence: Silence): string {
  return commandLine(['alerts', 'unsilence', silence.id]);
}
