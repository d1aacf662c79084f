import type { ReactNode } from 'react';
import { formatCount, formatInstant, formatZone } from '../words/format.ts';

/** A line of a chart: its values by the instants that all lines share. */
export type ChartLine = {
  readonly name: string;
  readonly tone: 'denied' | 'failing' | 'unknown' | 'allowed';
  readonly values: readonly (number | null)[];
};

type ChartTableProps = {
  label: string;
  instants: readonly number[];
  lines: readonly ChartLine[];
  format?: (value: number) => string;
};

/** The numbers of a chart as a table, folded away: for whoever does not see the chart, or wants the numbers. */
export function ChartTable({ label, instants, lines, format }: ChartTableProps): ReactNode {
  const write = format ?? formatCount;
  return (
    <details className="chart-table">
      <summary>As a table</summary>
      <div className="chart-table-scroll" role="region" aria-label={label} tabIndex={0}>
        <table>
          <caption className="visually-hidden">{label}</caption>
          <thead>
            <tr>
              <th scope="col">From, {formatZone(instants[0] ?? 0)}</th>
              {lines.map((line) => (
                <th key={line.name} scope="col" data-align="end">
                  {line.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {instants.map((instant, index) => (
              <tr key={instant}>
                <th scope="row">{formatInstant(instant).slice(0, 19)}</th>
                {lines.map((line) => (
                  <td key={line.name} data-align="end">
                    {written(line.values[index], write)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function written(value: number | null | undefined, write: (value: number) => string): string {
  return value === null || value === undefined ? '–' : write(value);
}
