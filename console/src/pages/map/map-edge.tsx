import type { KeyboardEvent, ReactNode } from 'react';
import type { MapEdge } from '../../api/service-map.ts';
import { formatRate } from '../../words/format.ts';
import { edgeSentence, edgeState, edgeWidth } from './edge-state.ts';
import type { Point } from './label-places.ts';

type MapEdgeProps = {
  edge: MapEdge;
  path: string | undefined;
  from: string;
  to: string;
  dim: boolean;
  selected: boolean;
  onOpen: (edge: MapEdge) => void;
};

/** One edge: a line by state and rate, and a wide invisible line that is easy to hit. */
export function MapEdgeShape({ edge, path, onOpen, ...props }: MapEdgeProps): ReactNode {
  if (path === undefined) return null;
  const state = edgeState(edge);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    onOpen(edge);
  };
  return (
    <g
      className="map-edge"
      role="button"
      tabIndex={0}
      aria-pressed={props.selected}
      aria-label={edgeSentence(edge, props.from, props.to)}
      data-tone={state.tone}
      data-dim={props.dim ? '' : undefined}
      data-idle={edge.rate > 0 ? undefined : ''}
      onClick={() => onOpen(edge)}
      onKeyDown={onKeyDown}
    >
      <path className="map-hit" d={path} />
      <path
        className="map-line"
        data-tone={state.tone}
        d={path}
        strokeWidth={edgeWidth(edge.rate)}
        markerEnd={`url(#arrow-${state.tone})`}
      />
    </g>
  );
}

type MapEdgeLabelProps = {
  edge: MapEdge;
  place: Point | undefined;
  dim: boolean;
  onOpen: (edge: MapEdge) => void;
};

/** The rate of an edge, and the word of its state where that is not the usual one. */
export function MapEdgeLabel({ edge, place, dim, onOpen }: MapEdgeLabelProps): ReactNode {
  if (place === undefined) return null;
  const state = edgeState(edge);
  const rate = edge.rate > 0 ? formatRate(edge.rate) : 'idle';
  return (
    <text
      className="map-label"
      // The edge itself carries these words for screen readers, and opens by keyboard.
      aria-hidden="true"
      data-tone={state.tone}
      data-idle={edge.rate > 0 ? undefined : ''}
      data-dim={dim ? '' : undefined}
      x={place.x}
      y={place.y + 4}
      textAnchor="middle"
      onClick={() => onOpen(edge)}
    >
      {rate}
      {state.tone !== 'allowed' && ` · ${state.word}`}
    </text>
  );
}
