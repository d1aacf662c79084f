import { type ReactNode, useDeferredValue, useMemo } from 'react';
import type { Rollups } from '../../api/rollups.ts';
import type { MapEdge, MapNode, ServiceMap } from '../../api/service-map.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { TimeRangePicker } from '../../parts/time-range-picker.tsx';
import { parseTimeRange, rangeQuery, type TimeRange } from '../../route/time-range.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { formatCount } from '../../words/format.ts';
import { EdgePanel } from './edge-panel.tsx';
import { EdgeTable, edgeColumns } from './edge-table.tsx';
import { FOLD_ABOVE, type ShownMap, shownMap } from './grouping.ts';
import { MapCanvas } from './map-canvas.tsx';
import { mapSentence } from './map-sentence.ts';
import { highlight } from './neighbours.ts';
import { pastEdgesPath, pastMap } from './past-map.ts';

/** What the control plane itself counts; longer and earlier stretches are sums of the store. */
const LIVE_SPAN = '15m';
const SPANS = ['15m', '1h', '6h', '24h', '7d'] as const;

/** Who talks to whom, and is it safe? */
export function MapPage(): ReactNode {
  const [query, setQuery] = useQuery();
  const range = parseTimeRange(query, LIVE_SPAN);
  const isLive = range.kind === 'last' && range.span === LIVE_SPAN;
  const now = useAnswer<ServiceMap>('/map', { topics: ['map'] });
  const sums = useAnswer<Rollups>(isLive ? undefined : pastEdgesPath(range));
  const answer = useMapOf(now, sums, isLive ? undefined : range);
  const openedText = query.get('open') ?? '';
  const focus = query.get('focus') ?? undefined;
  const search = query.get('q') ?? '';
  const map = useMemo(
    () =>
      answer.data && shownMap(answer.data, { open: new Set(openedText.split(',')), focus, search }),
    [answer.data, openedText, focus, search],
  );
  const names = useMemo(() => namesOf(map?.nodes ?? []), [map]);
  const edge = map?.edges.find((entry) => entry.id === query.get('edge'));
  return (
    <div className="page">
      <PageHead
        title="Map"
        sentence={answer.data && mapSentence(answer.data)}
        answer={answer}
        command={edge === undefined ? commandLine(['status']) : edgeCommand(edge)}
        exported={{ name: 'palisade-map', columns: edgeColumns(names), rows: map?.edges ?? [] }}
      />
      <AnswerNote answer={answer} rows={10} />
      {map !== undefined && (
        <MapToolbar
          names={names}
          query={query}
          onChange={setQuery}
          total={answer.data?.nodes.length ?? 0}
          range={range}
        />
      )}
      {map?.edges.length === 0 && !isLive && (
        <Empty title="No calls then.">Nothing is recorded of this time: choose another.</Empty>
      )}
      {map?.edges.length === 0 && isLive && (
        <Empty title="No calls yet.">
          Edges appear with the first call between two services. Start one with{' '}
          <code>palisade run --service NAME -- COMMAND</code>.
        </Empty>
      )}
      {map !== undefined && query.has('edge') && edge === undefined && (
        <p className="quiet" role="status">
          The edge that this address names had no call in this time
          {focus === undefined ? '' : ', or is none of this service'}. A longer time may show it.
        </p>
      )}
      {map !== undefined && map.edges.length > 0 && (
        <MapView
          map={map}
          names={names}
          edge={edge}
          time={isLive ? undefined : rangeQuery(range)}
          query={query}
          onChange={setQuery}
        />
      )}
    </div>
  );
}

/** The answer of a range: that of now, or the sums of then over the services of now. */
function useMapOf(
  now: Answer<ServiceMap>,
  sums: Answer<Rollups>,
  range: TimeRange | undefined,
): Answer<ServiceMap> {
  return useMemo(() => {
    if (range === undefined) return now;
    if (now.data === undefined || sums.data === undefined) return { ...sums, data: undefined };
    return { ...sums, data: pastMap(now.data, sums.data, range) };
  }, [now, sums, range]);
}

type QueryProps = {
  names: ReadonlyMap<string, string>;
  query: URLSearchParams;
  onChange: (patch: Readonly<Record<string, string | undefined>>) => void;
};

function MapToolbar(props: QueryProps & { total: number; range: TimeRange }): ReactNode {
  const { names, query, onChange } = props;
  const focus = query.get('focus');
  return (
    <div className="toolbar">
      <SearchBox
        label="Search services"
        placeholder="Search services"
        value={query.get('q') ?? ''}
        onChange={(q) => onChange({ q, focus: undefined })}
      />
      <TimeRangePicker
        range={props.range}
        defaultSpan={LIVE_SPAN}
        spans={SPANS}
        onChange={onChange}
      />
      {focus !== null && (
        <button type="button" className="button" onClick={() => onChange({ focus: undefined })}>
          Show all, not only {names.get(focus) ?? focus}
        </button>
      )}
      {query.has('open') && (
        <button type="button" className="button" onClick={() => onChange({ open: undefined })}>
          Fold namespaces
        </button>
      )}
      {props.total > FOLD_ABOVE && focus === null && (
        <span className="quiet">
          {formatCount(props.total)} are too many for one picture: a namespace opens by a click, a
          service shows its neighbours, and a search finds a service in its namespace.
        </span>
      )}
    </div>
  );
}

type MapViewProps = QueryProps & {
  map: ShownMap;
  edge: MapEdge | undefined;
  time: { readonly since: string; readonly until?: string } | undefined;
};

function MapView(props: MapViewProps): ReactNode {
  const { map, names, edge, query, onChange } = props;
  const focus = query.get('focus') ?? undefined;
  const search = query.get('q') ?? '';
  const shine = useMemo(() => highlight(map, { focus, search }), [map, focus, search]);
  // The picture answers the hand; the table may follow a frame later.
  const tableMap = useDeferredValue(map);
  const tableShine = useDeferredValue(shine);
  const openEdge = (opened: MapEdge): void => onChange({ edge: opened.id });
  const closeEdge = (): void => onChange({ edge: undefined });
  const pickNode = (node: MapNode): void => {
    if (node.id.startsWith('fold:')) {
      const opened = (query.get('open') ?? '').split(',').filter(Boolean);
      onChange({ open: [...opened, node.service].join(',') });
    } else onChange({ focus: focus === node.id ? undefined : node.id });
  };
  return (
    <div className="split" data-open={edge === undefined ? undefined : ''}>
      <div className="split-main">
        <MapCanvas
          map={map}
          shine={shine}
          selectedEdge={edge?.id}
          focusedNode={focus}
          onEdge={openEdge}
          onNode={pickNode}
        />
        <EdgeTable
          map={tableMap}
          names={names}
          shine={tableShine}
          selected={edge?.id}
          onOpen={openEdge}
          onClose={closeEdge}
        />
      </div>
      {edge !== undefined && (
        <EdgePanel key={edge.id} edge={edge} names={names} time={props.time} onClose={closeEdge} />
      )}
    </div>
  );
}

function edgeCommand(edge: MapEdge): string {
  return commandLine(
    ['log'],
    [
      ['from', edge.sourceId ?? edge.source],
      ['to', edge.destination],
    ],
  );
}

/** Services by their plain names, with the namespace where two share one. */
function namesOf(nodes: readonly MapNode[]): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  for (const node of nodes) counts.set(node.service, (counts.get(node.service) ?? 0) + 1);
  return new Map(
    nodes.map((node) => {
      const isShared = (counts.get(node.service) ?? 0) > 1 && node.namespace !== null;
      return [node.id, isShared ? `${node.service}.${node.namespace}` : node.service];
    }),
  );
}
