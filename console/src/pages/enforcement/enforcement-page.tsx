import { type ReactNode, useMemo } from 'react';
import type { EnforcementPoint } from '../../api/enforcement-point.ts';
import type { Page } from '../../api/page.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { DataTable } from '../../parts/data-table.tsx';
import { MoreNote } from '../../parts/more-note.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import type { ExportColumn } from '../../words/export.ts';
import { pointColumns } from './point-columns.tsx';
import {
  enforcementSentence,
  nameOf,
  type PointRow,
  pointState,
  rowsOf,
  sortPoints,
} from './point-rows.ts';

/** The file has a line for each point and namespace. */
const EXPORTED: readonly ExportColumn<PointRow>[] = [
  { head: 'point', value: ({ point }) => nameOf(point) },
  { head: 'node', value: ({ point }) => point.node },
  { head: 'spiffe_id', value: ({ point }) => point.spiffeId },
  { head: 'state', value: ({ point }) => pointState(point).word },
  { head: 'reason', value: ({ point }) => pointState(point).reason },
  { head: 'namespace', value: ({ set }) => set?.namespace },
  { head: 'wanted', value: ({ set }) => set?.wanted?.number },
  { head: 'enforced', value: ({ set }) => set?.enforced?.number },
  { head: 'wanted_since', value: ({ set }) => set?.wantedSince },
  { head: 'certificate_expires', value: ({ point }) => point.certificateExpiresAt },
  { head: 'last_seen', value: ({ point }) => point.lastSeen },
];

/** Is what was decided what happens? */
export function EnforcementPage(): ReactNode {
  const answer = useAnswer<Page<EnforcementPoint>>('/enforcement-points?limit=1000', {
    topics: ['enforcement', 'policy'],
  });
  const [query, setQuery] = useQuery();
  const search = query.get('q') ?? '';
  const points = useMemo(
    () => matchPoints(sortPoints(answer.data?.items ?? []), search),
    [answer.data, search],
  );
  return (
    <div className="page">
      <PageHead
        title="Enforcement"
        sentence={answer.data && enforcementSentence(answer.data.items)}
        answer={answer}
        command={commandLine(['status'])}
        exported={{ name: 'palisade-enforcement', columns: EXPORTED, rows: points.flatMap(rowsOf) }}
      />
      <div className="toolbar">
        <SearchBox
          label="Search enforcement points"
          placeholder="Service or namespace"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
      </div>
      <AnswerNote answer={answer} rows={8} />
      <MoreNote page={answer.data} of="enforcement points" command="palisade status" />
      {answer.data !== undefined && points.length === 0 && (
        <Empty title={search === '' ? 'No enforcement point yet.' : 'No enforcement point fits.'}>
          A sidecar appears here when it starts: <code>palisade run --service NAME -- COMMAND</code>
          .
        </Empty>
      )}
      {points.length > 0 && (
        <DataTable
          label="Enforcement points"
          columns={pointColumns}
          rows={points}
          keyOf={(point) => point.node}
          toneOf={(point) => {
            const { tone } = pointState(point);
            return tone === 'allowed' ? undefined : tone;
          }}
          minWidth="74rem"
          lessens
        />
      )}
    </div>
  );
}

function matchPoints(
  points: readonly EnforcementPoint[],
  text: string,
): readonly EnforcementPoint[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return points;
  return points.filter((point) =>
    [
      nameOf(point),
      point.node,
      point.spiffeId,
      pointState(point).reason,
      ...point.sets.map((set) => set.namespace),
    ]
      .join('\n')
      .toLowerCase()
      .includes(wanted),
  );
}
