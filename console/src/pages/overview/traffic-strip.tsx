import type { ReactNode } from 'react';
import type { Overview } from '../../api/overview.ts';
import type { Rollups } from '../../api/rollups.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useNow } from '../../live/use-now.ts';
import { TimeStrip } from '../../parts/time-strip.tsx';
import { patchQuery } from '../../route/query.ts';
import {
  encodeTimeRange,
  rangeMs,
  spanMs,
  stepOf,
  type TimeRange,
} from '../../route/time-range.ts';
import { formatInstant } from '../../words/format.ts';
import { type Aligned, alignSeries, emptyWords, instantMs } from '../../words/rollup.ts';

type TrafficStripProps = {
  range: TimeRange;
  rollups: Answer<Rollups>;
  overview: Overview;
  onSelect: (range: TimeRange) => void;
};

/** Calls, denials and errors of the whole mesh over the chosen time. */
export function TrafficStrip({ range, rollups, overview, onSelect }: TrafficStripProps): ReactNode {
  const stepMs = spanMs(stepOf(range)) ?? 60_000;
  // Moves on once a step, not each second.
  const nowMs = Math.floor(useNow() / stepMs) * stepMs;
  const stored =
    rollups.data &&
    alignSeries(rollups.data.series, { ...rangeMs(range, nowMs), stepMs, metrics: 3 });
  const shown = stored ?? ofOverview(overview);
  const { instants, values } = shown;
  const [calls = [], denied = [], errors = []] = values;
  const isLong = (instants.at(-1) ?? 0) - (instants[0] ?? 0) > 86_400_000;
  const address = encodeTimeRange(range, '');
  return (
    <>
      {stored === undefined && (
        <p className="quiet">
          The store’s sums cannot be read, so these are the last 15 minutes that the control plane
          remembers itself.
        </p>
      )}
      <TimeStrip
        label="Calls, denials and errors over time"
        instants={instants}
        stepMs={stored === undefined ? overview.series.stepSeconds * 1000 : stepMs}
        lines={[
          {
            name: 'Calls',
            tone: 'unknown',
            values: calls,
            to: `/traffic${patchQuery('', address)}`,
          },
          {
            name: 'Denied',
            tone: 'denied',
            values: denied,
            to: `/traffic${patchQuery('', { ...address, denied: 'true' })}`,
          },
          {
            name: 'Errors',
            tone: 'failing',
            values: errors,
            to: `/traffic${patchQuery('', { ...address, where: 'status>=500' })}`,
          },
        ]}
        note={emptyWords(shown, (ms) => formatInstant(ms).slice(isLong ? 5 : 11, 16))}
        onSelect={(fromMs, untilMs) => onSelect({ kind: 'between', fromMs, untilMs })}
      />
    </>
  );
}

/** What the control plane counted itself, where there is no store to ask. */
function ofOverview({ series }: Overview): Aligned {
  const fromMs = instantMs(series.from);
  return {
    instants: series.calls.map((_, index) => fromMs + index * series.stepSeconds * 1000),
    values: [series.calls, series.denied, series.errors],
  };
}
