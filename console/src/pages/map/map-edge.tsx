import type { KeyboardEvent, ReactNode } from 'react';
import type { MapEdge } from '../../api/service-map.ts';
import { formatRate } from '../../words/format.ts';
import { edgeSentence, edgeState, edgeWidth } from './edge-state.ts';
import type { Routed } from './layout.ts';

type MapEdgeProps = {
  edge: MapEdge;
  routed: Routed | undefined;
  from: string;
  to: string;
  dim: boolean;
  selected: boolean;
  onOpen: (edge: MapEdge) => void;
};

/** One edge: a line by state and rate, its label, and a wide invisible line that is easy to hit. */
export function MapEdgeShape({ edge, routed, onOpen, ...props }: MapEdgeProps): ReactNode {
  if (routed === undefined) return null;
  const state = edgeState(edge);
  const rate = edge.rate > 0 ? formatRate(edge.rate) : 'idle';
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
      <path className="map-hit" d={routed.path} />
      <path
        className="map-line"
        data-tone={state.tone}
        d={routed.path}
        strokeWidth={edgeWidth(edge.rate)}
        markerEnd={`url(#arrow-${state.tone})`}
      />
      <text className="map-label" x={routed.labelX} y={routed.labelY - 7} textAnchor="middle">
        {rate}
        {state.tone !== 'allowed' && ` · ${state.word}`}
      </text>
    </g>
  );
}
