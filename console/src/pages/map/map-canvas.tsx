import { type ReactNode, useMemo, useRef, useState } from 'react';
import type { MapEdge } from '../../api/service-map.ts';
import { Icon } from '../../parts/icon.tsx';
import { type Size, useSize } from '../../parts/use-size.ts';
import type { ShownMap, ShownNode } from './grouping.ts';
import type { Point } from './label-places.ts';
import type { Layout } from './layout.ts';
import { MapEdgeLabel, MapEdgeShape } from './map-edge.tsx';
import { CROWDED_ZOOM, labelPlaces, layOutMap } from './map-layout.ts';
import { MapLegend } from './map-legend.tsx';
import { MapNodeShape } from './map-node.tsx';
import type { Highlight } from './neighbours.ts';

type MapCanvasProps = {
  map: ShownMap;
  shine: Highlight | undefined;
  selectedEdge: string | undefined;
  focusedNode: string | undefined;
  onEdge: (edge: MapEdge) => void;
  onNode: (node: ShownNode) => void;
};

const ZOOMS = [0.7, 0.85, 1, 1.25, 1.5] as const;
const TONES = ['allowed', 'plaintext', 'denied', 'failing'] as const;

/** The picture: layers from entry to stores. It scrolls in itself; a drag moves it. */
export function MapCanvas(props: MapCanvasProps): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const size = useSize(frame);
  const [chosenZoom, setZoom] = useState<number>();
  const { map } = props;
  // Rates change each second and places do not: the layout depends on who calls whom only.
  const shape = map.edges.map((edge) => `${edge.id} ${edge.protocol}`).join('\n');
  const ids = map.nodes.map((node) => node.id).join('\n');
  const layout = useMemo(
    () => (size === undefined ? undefined : layOutMap(map, size)),
    // `map` is reduced to `ids` and `shape`.
    [ids, shape, size],
  );
  const zoom = chosenZoom ?? fittingZoom(layout, size);
  return (
    <section className="map" aria-label="Service map">
      <div className="map-bar">
        <MapLegend claimsEncryption={map.edges.some(({ mtls }) => mtls !== null)} />
        <div className="map-zoom">
          <ZoomButton label="Smaller" icon="minus" zoom={step(zoom, -1)} onZoom={setZoom} />
          <ZoomButton label="Larger" icon="plus" zoom={step(zoom, 1)} onZoom={setZoom} />
        </div>
      </div>
      {/* The frame scrolls, so it must be reachable by keyboard. */}
      <div className="map-frame" ref={frame} tabIndex={0} onPointerDown={startPan}>
        {layout !== undefined && <Picture {...props} layout={layout} zoom={zoom} />}
      </div>
    </section>
  );
}

function Picture(props: MapCanvasProps & { layout: Layout; zoom: number }): ReactNode {
  const { map, layout, zoom, shine } = props;
  const nodeById = useMemo(() => new Map(map.nodes.map((node) => [node.id, node])), [map]);
  const places: ReadonlyMap<string, Point> = useMemo(() => labelPlaces(map, layout), [map, layout]);
  const isDim = (edge: MapEdge): boolean => shine !== undefined && !shine.edges.has(edge.id);
  return (
    <svg
      className="map-picture"
      role="group"
      aria-label="Services from entry on the left to stores on the right"
      width={layout.width * zoom}
      height={layout.height * zoom}
      viewBox={`0 0 ${layout.width} ${layout.height}`}
    >
      <ArrowHeads />
      {map.edges.map((edge) => (
        <MapEdgeShape
          key={edge.id}
          edge={edge}
          path={layout.edges.get(edge.id)?.path}
          from={nodeById.get(edge.source)?.service ?? edge.source}
          to={nodeById.get(edge.destination)?.service ?? edge.destination}
          dim={isDim(edge)}
          selected={props.selectedEdge === edge.id}
          onOpen={props.onEdge}
        />
      ))}
      {map.nodes.map((node) => (
        <MapNodeShape
          key={node.id}
          node={node}
          placed={layout.nodes.get(node.id)}
          dim={shine !== undefined && !shine.nodes.has(node.id)}
          focused={props.focusedNode === node.id}
          onPick={props.onNode}
        />
      ))}
      {/* Labels lie above all lines, so that no line crosses out another one's label. */}
      {map.edges.map((edge) => (
        <MapEdgeLabel
          key={edge.id}
          edge={edge}
          place={places.get(edge.id)}
          dim={isDim(edge)}
          onOpen={props.onEdge}
        />
      ))}
    </svg>
  );
}

function ArrowHeads(): ReactNode {
  return (
    <defs>
      {TONES.map((tone) => (
        <marker
          key={tone}
          id={`arrow-${tone}`}
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth="9"
          markerHeight="9"
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path className="map-arrow" data-tone={tone} d="M0 .5 8 4 0 7.500z" />
        </marker>
      ))}
    </defs>
  );
}

function ZoomButton(props: {
  label: string;
  icon: 'plus' | 'minus';
  zoom: number | undefined;
  onZoom: (zoom: number) => void;
}): ReactNode {
  return (
    <button
      type="button"
      className="tool-button"
      aria-label={props.label}
      disabled={props.zoom === undefined}
      onClick={() => props.zoom !== undefined && props.onZoom(props.zoom)}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** A step smaller where not all is seen; names must stay readable, and narrow screens scroll anyway. */
function fittingZoom(layout: Layout | undefined, frame: Size | undefined): number {
  if (layout === undefined || frame === undefined || frame.width < 600) return 1;
  const share = Math.min(frame.width / layout.width, frame.height / layout.height);
  return share >= 1 ? 1 : CROWDED_ZOOM;
}

function step(zoom: number, by: number): number | undefined {
  return ZOOMS[ZOOMS.findIndex((entry) => entry === zoom) + by];
}

/** Dragging the empty ground moves the picture; a drag that begins on a service or edge does not. */
function startPan(event: React.PointerEvent<HTMLDivElement>): void {
  const frame = event.currentTarget;
  const isOnThing =
    event.target instanceof Element && event.target.closest('[role="button"]') !== null;
  if (event.button !== 0 || event.pointerType === 'touch' || isOnThing) return;
  const from = { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop };
  const move = (moved: PointerEvent): void =>
    frame.scrollTo(from.x - moved.clientX, from.y - moved.clientY);
  const stop = (): void => {
    window.removeEventListener('pointermove', move);
    window.removeEventListener('pointerup', stop);
  };
  window.addEventListener('pointermove', move);
  window.addEventListener('pointerup', stop);
}
