import type { ReactNode } from 'react';
import type { LiveState } from '../live/live-channel.ts';
import { liveChannel, useLiveState } from '../live/use-live.ts';
import { useNow } from '../live/use-now.ts';
import { Icon } from '../parts/icon.tsx';
import { formatSpan } from '../words/format.ts';

/** Silence longer than this is worth saying even while the connection stands. */
const QUIET_MS = 12_000;

/** Whether what is shown is live, how old it is, and the button that pauses it. */
export function LiveStatus(): ReactNode {
  const live = useLiveState();
  const nowMs = useNow();
  const paused = live.kind === 'paused';
  const { tone, words } = describe(live, nowMs);
  return (
    <div className="live-status" data-tone={tone}>
      <span className="live-mark" aria-hidden="true" />
      <span className="live-words" role="status" aria-live="off">
        {words}
      </span>
      <button
        type="button"
        className="tool-button"
        aria-pressed={paused}
        title={paused ? 'Go on (p)' : 'Pause (p)'}
        onClick={() => (paused ? liveChannel.resume() : liveChannel.pause())}
      >
        <Icon name={paused ? 'play' : 'pause'} />
        <span className="visually-hidden">Pause live updates</span>
      </button>
    </div>
  );
}

function describe(
  live: LiveState,
  nowMs: number,
): { tone: 'live' | 'stale' | 'paused'; words: string } {
  const silentMs = live.heardAt === undefined ? undefined : Math.max(0, nowMs - live.heardAt);
  const heard = silentMs === undefined ? '' : `, last heard ${formatSpan(silentMs)} ago`;
  switch (live.kind) {
    case 'paused':
      return { tone: 'paused', words: `paused${heard}` };
    case 'lost':
      return { tone: 'stale', words: `reconnecting${heard}` };
    case 'live':
      return silentMs !== undefined && silentMs > QUIET_MS
        ? { tone: 'stale', words: `last heard ${formatSpan(silentMs)} ago` }
        : { tone: 'live', words: 'live' };
    default:
      return { tone: 'paused', words: 'connecting' };
  }
}
