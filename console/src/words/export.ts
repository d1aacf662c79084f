/** What is shown, as a file: CSV by columns, JSON as the API gave it. */

/** One column of an export. */
export type ExportColumn<T> = {
  readonly head: string;
  readonly value: (row: T) => string | number | boolean | null | undefined;
};

/** RFC 4180 text of the rows, with a header line and CRLF line ends. */
export function encodeCsv<T>(columns: readonly ExportColumn<T>[], rows: readonly T[]): string {
  const lines = [columns.map((column) => encodeCell(column.head))];
  for (const row of rows) lines.push(columns.map((column) => encodeCell(column.value(row))));
  return `${lines.map((cells) => cells.join(',')).join('\r\n')}\r\n`;
}

/**
 * SECURITY: a caller chooses its path and host, and a spreadsheet runs a cell that begins like a
 * formula. Such text gets a leading apostrophe; numbers of ours do not.
 */
function encodeCell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
