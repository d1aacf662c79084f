import type { ReactNode } from 'react';
import { type ExportColumn, encodeCsv } from '../words/export.ts';
import { Icon } from './icon.tsx';

type ExportButtonsProps<T> = {
  name: string;
  columns: readonly ExportColumn<T>[];
  rows: readonly T[];
};

/** What is shown, as CSV and as JSON. */
export function ExportButtons<T>({ name, columns, rows }: ExportButtonsProps<T>): ReactNode {
  return (
    <span className="exports">
      <button
        type="button"
        className="button"
        onClick={() => save(`${name}.csv`, 'text/csv', encodeCsv(columns, rows))}
      >
        <Icon name="download" />
        CSV
      </button>
      <button
        type="button"
        className="button"
        onClick={() => save(`${name}.json`, 'application/json', JSON.stringify(rows, null, 2))}
      >
        <Icon name="download" />
        JSON
      </button>
    </span>
  );
}

function save(fileName: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = fileName;
  anchor.click();
  // The download has its own hold on the blob once it has begun.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
