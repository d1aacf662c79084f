import { type ReactNode, useRef } from 'react';
import type { Identity } from '../../api/identity.ts';
import { useNow } from '../../live/use-now.ts';
import { useSize } from '../../parts/use-size.ts';
import { formatAgo, toMs } from '../../words/format.ts';
import { shortName } from '../../words/names.ts';
import { type Axis, axisFor, barOf, type Renewal, renewalOf, shareOf, ticksOf } from './horizon.ts';

const ROW = 20;
const HEAD = 24;
const BEYOND_WIDTH = 60;
/** More bars than this say less than the table below them. */
const MAX_BARS = 24;

/** Until when each identity is valid: one bar each from issue to expiry, the first to end on top. */
export function HorizonChart({ identities }: { identities: readonly Identity[] }): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const width = useSize(frame)?.width;
  const nowMs = useNow();
  const shown = identities.slice(0, MAX_BARS);
  const axis = axisFor(
    shown.map((identity) => toMs(identity.expiresAt) ?? nowMs),
    nowMs,
  );
  const height = HEAD + shown.length * ROW + 8;
  return (
    <section className="horizon" aria-labelledby="horizon-title">
      <h2 id="horizon-title">Until when</h2>
      <div ref={frame} style={{ height }}>
        {width !== undefined && (
          <svg
            width={width}
            height={height}
            role="img"
            aria-label={`Expiry of ${shown.length} identities on a time axis; the table below has the same times`}
          >
            <Chart axis={axis} identities={shown} width={width} height={height} nowMs={nowMs} />
          </svg>
        )}
      </div>
      {identities.length > shown.length && (
        <p className="quiet">
          The first {shown.length} of {identities.length} to end; the table has all.
        </p>
      )}
    </section>
  );
}

type ChartProps = {
  axis: Axis;
  identities: readonly Identity[];
  width: number;
  height: number;
  nowMs: number;
};

function Chart({ axis, identities, width, height, nowMs }: ChartProps): ReactNode {
  const names = width < 560 ? 92 : 180;
  const place = (share: number): number => names + share * (width - names - 8);
  const nowX = place(shareOf(axis, nowMs));
  const label = (ms: number): string => formatTick(ms - nowMs);
  const ticks = ticksOf(axis, nowMs, label).filter((_, index) => width >= 560 || index % 2 === 0);
  return (
    <>
      {ticks.map((tick) => (
        <g key={tick.ms} className="horizon-tick">
          <path d={`M${place(tick.at)} ${HEAD - 6}V${height}`} />
          {tick.label !== 'now' && Math.abs(place(tick.at) - nowX) > 36 && (
            <text x={place(tick.at)} y={12} textAnchor={tick.at > 0.96 ? 'end' : 'middle'}>
              {tick.label}
            </text>
          )}
        </g>
      ))}
      {identities.map((identity, index) => (
        <Row
          key={identity.logNumber}
          y={HEAD + index * ROW}
          {...{ identity, axis, place, nowMs, names }}
        />
      ))}
      <g className="horizon-now">
        <path d={`M${nowX} ${HEAD - 6}V${height}`} />
        <text x={nowX} y={12} textAnchor="middle">
          now
        </text>
      </g>
    </>
  );
}

const RENEWAL_WORDS: Readonly<Record<Renewal, string>> = {
  well: '',
  late: 'renewal is late',
  ended: 'process ended',
  expired: 'expired',
};

function Row(props: {
  identity: Identity;
  axis: Axis;
  place: (share: number) => number;
  y: number;
  nowMs: number;
  names: number;
}): ReactNode {
  const { identity, axis, place, y, nowMs } = props;
  const issuedMs = toMs(identity.issuedAt) ?? nowMs;
  const expiresMs = toMs(identity.expiresAt) ?? nowMs;
  const bar = barOf(axis, { issuedMs, expiresMs });
  const renewal = renewalOf(identity, nowMs);
  const state = RENEWAL_WORDS[renewal];
  const from = place(bar.from);
  // A bar that is cut leaves room for the words that say when it does end.
  const to = place(bar.to) - (bar.isCut ? BEYOND_WIDTH : 0);
  const middle = y + ROW / 2;
  const name = shortName(identity.spiffeId);
  const room = Math.floor((props.names - 12) / 7);
  return (
    <g className="horizon-row" data-tone={renewal}>
      <title>{`${identity.spiffeId} expires ${formatAgo(expiresMs, nowMs)}`}</title>
      <text x={0} y={middle + 4}>
        {name.length > room ? `${name.slice(0, room - 1)}…` : name}
      </text>
      <rect x={from} y={middle - 4} width={Math.max(2, to - from)} height={8} rx={2} />
      {bar.isCut ? (
        <text className="horizon-beyond" x={to + 6} y={middle + 4}>
          {formatAgo(expiresMs, nowMs)} →
        </text>
      ) : (
        <path className="horizon-end" d={`M${to} ${middle - 7}V${middle + 7}`} />
      )}
      {state !== '' && (
        <text className="horizon-state" x={to + 8} y={middle + 4}>
          {state}
        </text>
      )}
    </g>
  );
}

function formatTick(ms: number): string {
  const minutes = Math.round(Math.abs(ms) / 60_000);
  const units = [
    [1440, 'd'],
    [60, 'h'],
  ] as const;
  const [size, unit] = units.find(([size]) => minutes % size === 0) ?? [1, 'min'];
  return `${ms < 0 ? '−' : '+'}${minutes / size} ${unit}`;
}
