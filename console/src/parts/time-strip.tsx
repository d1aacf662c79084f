import { type PointerEvent, type ReactNode, useRef, useState } from 'react';
import { formatCount, formatInstant, formatNoun, formatZone } from '../words/format.ts';
import { type ChartLine, ChartTable } from './chart-table.tsx';
import { Link } from './link.tsx';

/** A row of the strip: counts, and the page that has the calls behind them. */
export type StripLine = Omit<ChartLine, 'values'> & {
  readonly to: string;
  readonly values: readonly number[];
};

type TimeStripProps = {
  label: string;
  instants: readonly number[];
  stepMs: number;
  lines: readonly StripLine[];
  /** What else is to be said of the time shown. */
  note?: string;
  /** Told the stretch that someone dragged over. */
  onSelect?: (fromMs: number, untilMs: number) => void;
};

const WIDTH = 600;
const HEIGHT = 36;

/** Counts over time, one row of bars each on the same axis; a drag over them chooses the stretch to look at. */
export function TimeStrip(props: TimeStripProps): ReactNode {
  const { instants, lines, label } = props;
  const [pointed, setPointed] = useState<number>();
  const drag = useDrag(props, setPointed);
  return (
    <div className="time-strip">
      <ul className="strip" aria-label={label}>
        {lines.map((line) => (
          <li key={line.name}>
            <Link to={line.to}>{line.name}</Link>
            <strong className="number">
              {formatCount(line.values.reduce((a, b) => a + b, 0))}
            </strong>
            <Bars line={line} pointed={pointed} selected={drag.selected} handlers={drag.handlers} />
          </li>
        ))}
      </ul>
      <p className="strip-foot">
        <span className="quiet">
          {readout(props, pointed)}
          {pointed === undefined && props.note !== undefined && ` ${props.note}`}
        </span>
        <span className="quiet number strip-axis" aria-hidden="true">
          {axisLabels(instants).map((words) => (
            <span key={words}>{words}</span>
          ))}
        </span>
      </p>
      <ChartTable label={label} instants={instants} lines={lines} />
    </div>
  );
}

type Handlers = Record<
  'onPointerDown' | 'onPointerMove' | 'onPointerUp' | 'onPointerLeave',
  (event: PointerEvent<SVGElement>) => void
>;

function Bars(props: {
  line: StripLine;
  pointed: number | undefined;
  selected: readonly [number, number] | undefined;
  handlers: Handlers;
}): ReactNode {
  const { values, name, tone } = props.line;
  const most = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, values.length);
  const [from, to] = props.selected ?? [props.pointed, props.pointed];
  return (
    <svg
      className="sparkline"
      data-tone={tone}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${name}: at most ${formatCount(Math.max(0, ...values))} a step, now ${formatCount(values.at(-1) ?? 0)}; the table below has all`}
      {...props.handlers}
    >
      <rect className="sparkline-hit" width={WIDTH} height={HEIGHT} />
      {from !== undefined && to !== undefined && (
        <rect
          className="sparkline-pointed"
          x={from * step}
          width={(to - from + 1) * step}
          height={HEIGHT}
        />
      )}
      <path className="sparkline-ground" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
      {values.map((value, index) => {
        const height = value === 0 ? 0 : Math.max(1.5, (value / most) * (HEIGHT - 2));
        return (
          <rect
            key={index}
            x={index * step + step * 0.1}
            y={HEIGHT - height}
            width={step * 0.8}
            height={height}
          />
        );
      })}
    </svg>
  );
}

/** Which steps a pointer is dragged over, and the handlers that find out. */
function useDrag(
  props: TimeStripProps,
  setPointed: (index: number | undefined) => void,
): { readonly selected: readonly [number, number] | undefined; readonly handlers: Handlers } {
  const begun = useRef<number>(undefined);
  const [selected, setSelected] = useState<readonly [number, number]>();
  const { instants, stepMs, onSelect } = props;
  const indexAt = (event: PointerEvent<SVGElement>): number => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(1, box.width);
    return Math.min(instants.length - 1, Math.max(0, Math.floor(share * instants.length)));
  };
  const end = (): void => {
    begun.current = undefined;
    setSelected(undefined);
  };
  return {
    selected,
    handlers: {
      onPointerDown: (event) => {
        if (event.button !== 0 || onSelect === undefined) return;
        begun.current = indexAt(event);
        event.currentTarget.setPointerCapture(event.pointerId);
      },
      onPointerMove: (event) => {
        const at = indexAt(event);
        setPointed(at);
        const from = begun.current;
        if (from !== undefined) setSelected([Math.min(from, at), Math.max(from, at)]);
      },
      onPointerUp: () => {
        const fromMs = instants[selected?.[0] ?? -1];
        const lastMs = instants[selected?.[1] ?? -1];
        // One step is a click, which chooses nothing.
        const isStretch = fromMs !== undefined && lastMs !== undefined && lastMs > fromMs;
        end();
        if (isStretch) onSelect?.(fromMs, lastMs + stepMs);
      },
      onPointerLeave: () => {
        setPointed(undefined);
        end();
      },
    },
  };
}

/** What the step under the pointer counts, or how to look closer. */
function readout({ instants, lines, stepMs, onSelect }: TimeStripProps, at: number | undefined) {
  const instant = at === undefined ? undefined : instants[at];
  if (at === undefined || instant === undefined) {
    const size = stepMs < 60_000 ? formatNoun(stepMs / 1000, 'second') : minutes(stepMs);
    const zone = formatZone(instants[0] ?? 0);
    return `Each bar is ${size}, times are ${zone}.${onSelect === undefined ? '' : ' Drag over a stretch to look closer.'}`;
  }
  const counts = lines.map(
    (line) => `${formatCount(line.values[at] ?? 0)} ${line.name.toLowerCase()}`,
  );
  return `${formatInstant(instant).slice(5, 19)} ${formatZone(instant)}: ${counts.join(', ')}`;
}

function minutes(ms: number): string {
  return ms < 3_600_000 ? formatNoun(ms / 60_000, 'minute') : formatNoun(ms / 3_600_000, 'hour');
}

/** The first, a middle and the last instant; with the day where the axis is longer than one. */
function axisLabels(instants: readonly number[]): readonly string[] {
  const [first, last] = [instants[0], instants.at(-1)];
  const middle = instants[Math.floor(instants.length / 2)];
  if (first === undefined || last === undefined || middle === undefined) return [];
  const isLong = last - first > 86_400_000;
  return [...new Set([first, middle, last])].map((ms) =>
    isLong ? formatInstant(ms).slice(5, 16) : formatInstant(ms).slice(11, 16),
  );
}
