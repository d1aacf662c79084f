import type { KeyboardEvent, ReactNode } from 'react';
import { formatNoun } from '../../words/format.ts';
import type { ShownNode } from './grouping.ts';
import type { Placed } from './layout.ts';
import { NODE_HEIGHT, NODE_WIDTH } from './map-layout.ts';

type MapNodeProps = {
  node: ShownNode;
  placed: Placed | undefined;
  dim: boolean;
  focused: boolean;
  onPick: (node: ShownNode) => void;
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
      aria-label={
        node.services === undefined
          ? `${node.service} ${words}`
          : `namespace ${node.service}: ${words}, open`
      }
      data-kind={node.kind}
      data-tone={tone}
      data-dim={dim ? '' : undefined}
      transform={`translate(${placed.x} ${placed.y})`}
      onClick={() => onPick(node)}
      onKeyDown={onKeyDown}
    >
      {/* A second edge behind: there is more in it. */}
      {node.id.startsWith('fold:') && (
        <rect className="map-fold" x="4" y="-4" width={NODE_WIDTH} height={NODE_HEIGHT} rx="6" />
      )}
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx="6" />
      {/* The space keeps the two lines apart for those who hear them. */}
      <text
        className="map-node-name"
        x="12"
        y="19"
        data-long={node.service.length > ROOMY_NAME ? '' : undefined}
      >
        {shorten(node.service)}{' '}
      </text>
      <text className="map-node-state" x="12" y="34">
        {shorten(words, 19)}
      </text>
    </g>
  );
}

/** Longer names are set smaller, so that they stay inside whatever font the system has. */
const ROOMY_NAME = 13;

type Tone = 'stale' | 'failing' | 'denied' | 'plaintext';
type Described = { readonly words: string; readonly tone: Tone | undefined };

function describe(node: ShownNode): Described {
  if (node.id.startsWith('fold:')) return describeFolded(node);
  if (node.kind === 'unknown') return { words: 'no identity', tone: 'failing' };
  if (node.kind === 'external') return { words: 'caller only', tone: undefined };
  if (node.stale > 0) return { words: `${node.stale} of ${node.proxies} stale`, tone: 'stale' };
  if (node.proxies === 0) return { words: 'no sidecar now', tone: 'stale' };
  if (node.ready < node.proxies) {
    return { words: `${node.ready} of ${node.proxies} ready`, tone: 'failing' };
  }
  const namespace = node.namespace === null ? '' : `${node.namespace} · `;
  return { words: `${namespace}${node.ready} ready`, tone: undefined };
}

/** The worst that goes on inside, or how many services there are. */
function describeFolded({ services = 0, hidden, stale, proxies, ready }: ShownNode): Described {
  for (const tone of ['plaintext', 'denied', 'failing'] as const) {
    const count = hidden?.[tone] ?? 0;
    if (count > 0) return { words: `${services}, ${count} ${tone}`, tone };
  }
  if (stale > 0) return { words: `${services}, ${stale} stale`, tone: 'stale' };
  if (ready < proxies)
    return { words: `${services}, ${proxies - ready} not ready`, tone: 'failing' };
  return { words: formatNoun(services, 'service'), tone: undefined };
}

/** SVG text does not cut itself off; the full name is in the title. */
function shorten(text: string, length = 16): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
