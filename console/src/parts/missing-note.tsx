import type { ReactNode } from 'react';
import type { Missing } from '../api/completeness.ts';
import { formatCount, formatInstant, formatZone } from '../words/format.ts';
import { Icon } from './icon.tsx';
import { Link } from './link.tsx';

/** More sources than this are the Evidence page's to name. */
const MAX_NAMED = 3;

/** What is not in an answer although it happened: never silently. */
export function MissingNote({
  missing = [],
}: {
  missing?: readonly Missing[] | undefined;
}): ReactNode {
  if (missing.length === 0) return null;
  const others = missing.length - MAX_NAMED;
  return (
    <div className="notice missing" role="status" data-tone="stale">
      <Icon name="info" />
      <p>
        Not all that happened is here: {missing.slice(0, MAX_NAMED).map(missingWords).join('; ')}
        {others > 0 && `; and ${others} more`}.{' '}
        <Link to="/evidence?view=completeness">What is missing, by source</Link>
      </p>
    </div>
  );
}

function missingWords({ source, count, from, until, why }: Missing): string {
  const records =
    count === null || count === undefined ? 'records' : `${formatCount(count)} records`;
  const time = from && until ? ` of ${clock(from)} to ${clock(until)} ${formatZone(until)}` : '';
  return `${records} of ${source}${time}${why ? ` (${why})` : ''}`;
}

function clock(instant: string): string {
  return formatInstant(instant).slice(11, 19);
}
