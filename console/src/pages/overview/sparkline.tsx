import type { ReactNode } from 'react';

const WIDTH = 600;
const HEIGHT = 36;

type SparklineProps = { values: readonly number[]; tone: string; label: string };

/** Counts over time as bars from zero; the tallest fills the height, and is named in the label. */
export function Sparkline({ values, tone, label }: SparklineProps): ReactNode {
  const most = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, values.length);
  return (
    <svg
      className="sparkline"
      data-tone={tone}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: at most ${Math.max(0, ...values)}, now ${values.at(-1) ?? 0}`}
    >
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
