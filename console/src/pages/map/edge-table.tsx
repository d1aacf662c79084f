import type { ReactNode } from 'react';
import type { MapEdge, ServiceMap } from '../../api/service-map.ts';
import { CallNames } from '../../parts/call-names.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { formatCount, formatMicros, formatRate } from '../../words/format.ts';
import { edgeState } from './edge-state.ts';
import type { Highlight } from './neighbours.ts';

const WORST_FIRST: readonly Tone[] = ['plaintext', 'denied', 'failing', 'allowed'];

/** The columns of the edges, on screen and in files. */
export function edgeColumns(names: ReadonlyMap<string, string>): readonly Column<MapEdge>[] {
  const nameOf = (id: string): string => names.get(id) ?? id;
  return [
    {
      head: 'Call',
      value: (edge) => `${nameOf(edge.source)} → ${nameOf(edge.destination)}`,
      cell: (edge) => (
        <CallNames
          from={nameOf(edge.source)}
          to={nameOf(edge.destination)}
          title={edge.sourceId ?? 'no identity'}
        />
      ),
      stacked: 'title',
    },
    {
      head: 'State',
      width: '9.5rem',
      value: (edge) => edgeState(edge).word,
      cell: (edge) => <EdgeStateWord edge={edge} />,
    },
    {
      head: 'Rate',
      width: '5.5rem',
      align: 'end',
      value: (edge) => edge.rate,
      cell: (edge) => (edge.rate > 0 ? formatRate(edge.rate) : 'idle'),
    },
    {
      head: 'Calls',
      lesser: true,
      width: '7rem',
      align: 'end',
      value: (edge) => edge.requests,
      cell: (edge) => formatCount(edge.requests),
    },
    {
      head: 'Denied',
      width: '5rem',
      align: 'end',
      value: (edge) => edge.denied,
      cell: (edge) => formatCount(edge.denied),
    },
    {
      head: 'Errors',
      lesser: true,
      width: '5rem',
      align: 'end',
      value: (edge) => edge.errors,
      cell: (edge) => formatCount(edge.errors),
    },
    {
      head: 'Mean',
      lesser: true,
      width: '5.5rem',
      align: 'end',
      value: (edge) => edge.meanMs,
      cell: (edge) => (edge.meanMs === null ? '–' : formatMicros(edge.meanMs * 1000)),
    },
    {
      head: 'Last call',
      width: '6.5rem',
      align: 'end',
      value: (edge) => edge.lastSeen,
      cell: (edge) => <Moment at={edge.lastSeen} />,
    },
  ];
}

/** The state of an edge as word and glyph. */
export function EdgeStateWord(props: { edge: MapEdge }): ReactNode {
  const state = edgeState(props.edge);
  const isLocked = state.tone === 'allowed' && props.edge.mtls === true;
  return (
    <StateWord tone={state.tone} {...(isLocked ? { icon: 'lock' as const } : {})}>
      {state.word}
    </StateWord>
  );
}

type EdgeTableProps = {
  map: ServiceMap;
  names: ReadonlyMap<string, string>;
  shine: Highlight | undefined;
  selected: string | undefined;
  onOpen: (edge: MapEdge) => void;
  onClose: () => void;
};

/** The edges as a table, the worst state first. */
export function EdgeTable(props: EdgeTableProps): ReactNode {
  const { map, shine } = props;
  const rank = (edge: MapEdge): number => WORST_FIRST.indexOf(edgeState(edge).tone);
  const rows = map.edges
    .filter((edge) => shine === undefined || shine.edges.has(edge.id))
    .toSorted((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
  return (
    <DataTable
      label="Edges"
      columns={edgeColumns(props.names)}
      rows={rows}
      keyOf={(edge) => edge.id}
      selectedKey={props.selected}
      onOpen={props.onOpen}
      onClose={props.onClose}
      minWidth="52rem"
    />
  );
}
