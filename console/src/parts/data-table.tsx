import { type KeyboardEvent, type ReactNode, useRef, useState } from 'react';
import type { ExportColumn } from '../words/export.ts';
import { holdOrder } from './hold-order.ts';

/** A column: how it reads on screen and in a file. */
export type Column<T> = ExportColumn<T> & {
  readonly cell: (row: T) => ReactNode;
  /** CSS width of the column; one column without a width takes the rest. */
  readonly width?: string;
  /** Stands beside the head on the screen, not in files: the zone of times, for one. */
  readonly aside?: string;
  readonly align?: 'end';
  /** Left out while a panel beside the table takes its room. */
  readonly lesser?: true;
  /** In the stacked form for narrow screens: the row's title, of full width, or left out. */
  readonly stacked?: 'title' | 'wide' | 'omit';
};

type DataTableProps<T> = {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  /** Rows open by click and Enter when this is given. */
  onOpen?: (row: T) => void;
  onClose?: () => void;
  selectedKey?: string | undefined;
  toneOf?: (row: T) => string | undefined;
  /** Rows keep their places and change what they show: a tail that grows at the top shifts nothing. */
  inPlace?: boolean;
  /** Lesser columns also leave where the screen is too narrow for all, before the table scrolls. */
  lessens?: true;
  /** The smallest width at which columns still read; below it the table scrolls in itself. */
  minWidth?: string;
};

/**
 * A dense table: columns of fixed width, header that stays, one tab stop with arrow keys inside,
 * rows that hold their order while the pointer is over them, stacked rows on narrow screens.
 */
export function DataTable<T>(props: DataTableProps<T>): ReactNode {
  const body = useRef<HTMLTableSectionElement>(null);
  const [hovered, setHovered] = useState(false);
  const shownKeys = useRef<readonly string[]>([]);
  const rows = hovered ? holdOrder(shownKeys.current, props.rows, props.keyOf) : [...props.rows];
  shownKeys.current = rows.map(props.keyOf);
  const tabStop = Math.max(0, shownKeys.current.indexOf(props.selectedKey ?? ''));
  return (
    <div className="table-scroll">
      <table
        className="table"
        role="grid"
        aria-label={props.label}
        data-in-place={props.inPlace === true ? '' : undefined}
        data-lessens={props.lessens === undefined ? undefined : ''}
        style={props.minWidth === undefined ? undefined : { minWidth: props.minWidth }}
      >
        <colgroup>
          {props.columns.map((column) => (
            <col
              key={column.head}
              data-lesser={column.lesser}
              style={column.width ? { width: column.width } : undefined}
            />
          ))}
        </colgroup>
        <thead role="rowgroup">
          <tr role="row">
            {props.columns.map((column) => (
              <th
                key={column.head}
                role="columnheader"
                scope="col"
                data-align={column.align}
                data-lesser={column.lesser}
              >
                {column.head}
                {column.aside !== undefined && <span className="quiet"> {column.aside}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody
          role="rowgroup"
          ref={body}
          onPointerEnter={() => setHovered(true)}
          onPointerLeave={() => setHovered(false)}
          onKeyDown={(event) => moveFocus(event, body.current)}
        >
          {rows.map((row, index) => (
            <Row
              key={props.inPlace === true ? index : props.keyOf(row)}
              row={row}
              table={props}
              isTabStop={index === tabStop}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row<T>(props: { row: T; table: DataTableProps<T>; isTabStop: boolean }): ReactNode {
  const { row, table } = props;
  const selected = table.selectedKey !== undefined && table.keyOf(row) === table.selectedKey;
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      table.onOpen?.(row);
    } else if (event.key === 'Escape') table.onClose?.();
  };
  return (
    <tr
      role="row"
      tabIndex={props.isTabStop ? 0 : -1}
      data-tone={table.toneOf?.(row)}
      data-opens={table.onOpen === undefined ? undefined : ''}
      {...(table.onOpen === undefined ? {} : { 'aria-selected': selected })}
      onClick={(event) => {
        if (!isOfItself(event.target)) table.onOpen?.(row);
      }}
      onKeyDown={onKeyDown}
    >
      {table.columns.map((column) => (
        <td
          key={column.head}
          role="gridcell"
          data-head={column.aside === undefined ? column.head : `${column.head} ${column.aside}`}
          data-align={column.align}
          data-stacked={column.stacked}
          data-lesser={column.lesser}
        >
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
}

/** A link or a fold in a row does what it says, and does not open the row as well. */
function isOfItself(target: EventTarget): boolean {
  return target instanceof Element && target.closest('a, button, summary, input') !== null;
}

function moveFocus(event: KeyboardEvent, body: HTMLElement | null): void {
  if (body === null) return;
  const rows = [...body.querySelectorAll<HTMLElement>('tr')];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  if (at < 0) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  rows[Math.min(rows.length - 1, Math.max(0, to))]?.focus();
}
