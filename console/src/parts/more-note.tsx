import type { ReactNode } from 'react';
import type { Page } from '../api/page.ts';
import { formatCount } from '../words/format.ts';
import { Icon } from './icon.tsx';

/** Says that a list is cut, so that nobody takes its length for all there is. */
export function MoreNote(props: {
  page: Page<unknown> | undefined;
  /** What the rows are, as a plural. */
  of: string;
  /** The command that has all of them. */
  command: string;
}): ReactNode {
  const { page, of, command } = props;
  if (page === undefined || page.next === null) return null;
  return (
    <div className="notice" role="status" data-tone="stale">
      <Icon name="info" />
      <p>
        These are the first {formatCount(page.items.length)} {of}, and all counts here are of these;
        there are more. <code>{command}</code> lists all.
      </p>
    </div>
  );
}
