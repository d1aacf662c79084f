import { type ReactNode, useMemo } from 'react';
import type { EnforcementPoint } from '../../api/enforcement-point.ts';
import type { Page } from '../../api/page.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { enforcementSentence, nameOf, type PointRow, pointRows, pointState } from './point-rows.ts';

const COLUMNS: readonly Column<PointRow>[] = [
  {
    head: 'Enforcement point',
    width: '12rem',
    value: (row) => nameOf(row.point),
    cell: (row) => (
      <span className="clip" title={row.point.spiffeId ?? row.point.node}>
        {nameOf(row.point)}
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'State',
    width: '8.5rem',
    value: (row) => pointState(row.point).word,
    cell: (row) => {
      const state = pointState(row.point);
      return <StateWord tone={state.tone}>{state.word}</StateWord>;
    },
  },
  {
    head: 'Namespace',
    width: '9rem',
    value: (row) => row.set?.namespace,
    cell: (row) => <span className="clip">{row.set?.namespace ?? 'none yet'}</span>,
  },
  {
    head: 'Wanted',
    width: '5rem',
    align: 'end',
    value: (row) => row.set?.wanted?.number,
    cell: (row) => <Version version={row.set?.wanted} />,
  },
  {
    head: 'Enforced',
    width: '5rem',
    align: 'end',
    value: (row) => row.set?.enforced?.number,
    cell: (row) => <Version version={row.set?.enforced} />,
  },
  {
    head: 'Behind since',
    width: '7.5rem',
    value: (row) => (row.set?.current === false ? row.set.wantedSince : null),
    cell: (row) =>
      row.set?.current === false ? (
        <Moment at={row.set.wantedSince} />
      ) : (
        <span className="quiet">not behind</span>
      ),
  },
  {
    head: 'Certificate ends',
    width: '8rem',
    value: (row) => row.point.certificateExpiresAt,
    cell: (row) =>
      row.point.certificateExpiresAt === null ? (
        <span className="quiet">unknown</span>
      ) : (
        <Moment at={row.point.certificateExpiresAt} />
      ),
  },
  {
    head: 'Last heard',
    width: '7rem',
    value: (row) => row.point.lastSeen,
    cell: (row) => <Moment at={row.point.lastSeen} />,
  },
  {
    head: 'Why',
    value: (row) => pointState(row.point).reason,
    cell: (row) => pointState(row.point).reason || <span className="quiet">all is well</span>,
  },
];

/** Is what was decided what happens? */
export function EnforcementPage(): ReactNode {
  const answer = useAnswer<Page<EnforcementPoint>>('/enforcement-points?limit=1000', {
    topics: ['enforcement', 'policy'],
  });
  const [query, setQuery] = useQuery();
  const search = query.get('q') ?? '';
  const rows = useMemo(
    () => matchRows(pointRows(answer.data?.items ?? []), search),
    [answer.data, search],
  );
  return (
    <div className="page">
      <PageHead
        title="Enforcement"
        sentence={answer.data && enforcementSentence(answer.data.items)}
        command={commandLine(['status'])}
        exported={{ name: 'palisade-enforcement', columns: COLUMNS, rows }}
      />
      <div className="toolbar">
        <SearchBox
          label="Search enforcement points"
          placeholder="Service, namespace or reason"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
      </div>
      <AnswerNote answer={answer} rows={8} />
      {answer.data !== undefined && rows.length === 0 && (
        <Empty title={search === '' ? 'No enforcement point yet.' : 'No enforcement point fits.'}>
          A sidecar appears here when it starts: <code>palisade run --service NAME -- COMMAND</code>
          .
        </Empty>
      )}
      {rows.length > 0 && (
        <DataTable
          label="Enforcement points"
          columns={COLUMNS}
          rows={rows}
          keyOf={(row) => row.key}
          toneOf={(row) => (row.isWorst ? pointState(row.point).tone : undefined)}
          minWidth="76rem"
        />
      )}
    </div>
  );
}

function Version(props: {
  version: { number: number; hash: string } | null | undefined;
}): ReactNode {
  if (props.version === null || props.version === undefined) {
    return <span className="quiet">none</span>;
  }
  return <span title={props.version.hash}>{props.version.number}</span>;
}

function matchRows(rows: readonly PointRow[], text: string): readonly PointRow[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return rows;
  return rows.filter((row) => {
    const { point } = row;
    return [nameOf(point), point.node, point.spiffeId, row.set?.namespace, pointState(point).reason]
      .join('\n')
      .toLowerCase()
      .includes(wanted);
  });
}
