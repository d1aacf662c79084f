import type { KeyboardEvent, ReactNode } from 'react';
import type { MapNode } from '../../api/service-map.ts';
import { formatNoun } from '../../words/format.ts';
import type { Placed } from './layout.ts';
import { NODE_HEIGHT, NODE_WIDTH } from './map-layout.ts';

type MapNodeProps = {
  node: MapNode;
  placed: Placed | undefined;
  dim: boolean;
  focused: boolean;
  onPick: (node: MapNode) => void;
};

/** One service: its name, and how its sidecars are. */
export function MapNodeShape({ node, placed, dim, focused, onPick }: MapNodeProps): ReactNode {
  if (placed === undefined) return null;
  const { words, tone } = describe(node);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    onPick(node);
  };
  return (
    <g
      className="map-node"
      role="button"
      tabIndex={0}
      aria-pressed={focused}
      aria-label={`${node.service} ${words}`}
      data-kind={node.kind}
      data-tone={tone}
      data-dim={dim ? '' : undefined}
      transform={`translate(${placed.x} ${placed.y})`}
      onClick={() => onPick(node)}
      onKeyDown={onKeyDown}
    >
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx="6" />
      {/* The space keeps the two lines apart for those who hear them. */}
      <text className="map-node-name" x="12" y="19">
        {shorten(node.service)}{' '}
      </text>
      <text className="map-node-state" x="12" y="34">
        {shorten(words, 21)}
      </text>
    </g>
  );
}

function describe(node: MapNode): { words: string; tone: 'stale' | 'failing' | undefined } {
  if (node.kind === 'unknown') return { words: 'no identity', tone: 'failing' };
  if (node.id.startsWith('fold:')) {
    return { words: `${formatNoun(node.proxies, 'sidecar')}, open`, tone: undefined };
  }
  if (node.kind === 'external') return { words: 'caller only', tone: undefined };
  if (node.stale > 0) return { words: `${node.stale} of ${node.proxies} stale`, tone: 'stale' };
  if (node.proxies === 0) return { words: 'no sidecar now', tone: 'stale' };
  if (node.ready < node.proxies) {
    return { words: `${node.ready} of ${node.proxies} ready`, tone: 'failing' };
  }
  const namespace = node.namespace === null ? '' : `${node.namespace} · `;
  return { words: `${namespace}${node.ready} ready`, tone: undefined };
}

/** SVG text does not cut itself off; the full name is in the title. */
function shorten(text: string, length = 16): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
