import { type ReactNode, useRef } from 'react';
import { formatInstant } from '../words/format.ts';
import { type ChartLine, ChartTable } from './chart-table.tsx';
import { useSize } from './use-size.ts';

type TrendChartProps = {
  label: string;
  instants: readonly number[];
  line: ChartLine;
  /** The ends of the vertical axis. */
  from: number;
  to: number;
};

const HEIGHT = 96;
const LEFT = 30;
const FOOT = 18;

/** One quantity over time as a line on a labelled axis. */
export function TrendChart({ label, instants, line, from, to }: TrendChartProps): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const width = useSize(frame)?.width;
  return (
    <div className="trend">
      <div ref={frame} style={{ height: HEIGHT + FOOT }}>
        {width !== undefined && instants.length > 1 && (
          <svg
            width={width}
            height={HEIGHT + FOOT}
            role="img"
            aria-label={`${label}: ${line.values.at(0) ?? 'unknown'} at first, ${line.values.at(-1) ?? 'unknown'} now; the table below has all`}
          >
            <Axis width={width} from={from} to={to} instants={instants} />
            <path className="trend-line" d={pathOf({ instants, line, from, to, width })} />
          </svg>
        )}
      </div>
      <ChartTable label={label} instants={instants} lines={[line]} />
    </div>
  );
}

function Axis(props: {
  width: number;
  from: number;
  to: number;
  instants: readonly number[];
}): ReactNode {
  const { width, from, to, instants } = props;
  const ends = [instants[0], instants.at(-1)];
  return (
    <g className="trend-axis">
      {[from, (from + to) / 2, to].map((value) => (
        <g key={value}>
          <path d={`M${LEFT} ${heightOf(value, from, to)}H${width}`} />
          <text x={LEFT - 6} y={heightOf(value, from, to) + 4} textAnchor="end">
            {value}
          </text>
        </g>
      ))}
      {ends.map((ms, index) => (
        <text
          key={index}
          x={index === 0 ? LEFT : width}
          y={HEIGHT + 14}
          textAnchor={index === 0 ? 'start' : 'end'}
        >
          {ms === undefined ? '' : formatInstant(ms).slice(5, 16)}
        </text>
      ))}
    </g>
  );
}

function heightOf(value: number, from: number, to: number): number {
  return 6 + (1 - (value - from) / (to - from)) * (HEIGHT - 12);
}

/** A step holds until the next one: between two measurements nothing is known to have moved. */
function pathOf(chart: Omit<TrendChartProps, 'label'> & { width: number }): string {
  const { instants, line, from, to, width } = chart;
  const [first = 0, last = 1] = [instants[0], instants.at(-1)];
  const x = (ms: number): number => LEFT + ((ms - first) / (last - first)) * (width - LEFT);
  return instants
    .flatMap((ms, index) => {
      const value = line.values[index];
      if (value === null || value === undefined) return [];
      const y = heightOf(Math.min(to, Math.max(from, value)), from, to).toFixed(1);
      return [index === 0 ? `M${x(ms).toFixed(1)} ${y}` : `H${x(ms).toFixed(1)}V${y}`];
    })
    .join('');
}
