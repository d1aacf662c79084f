import type { ReactNode } from 'react';
import { useQuery } from '../route/use-place.ts';

type ViewTabsProps = {
  label: string;
  /** The first is shown where the address names none. */
  views: readonly { readonly view: string; readonly title: string }[];
  /** Keys of the address that belong to one view and leave with it. */
  drops?: readonly string[];
};

/** Buttons that choose the view of a page; the choice is in the address as `view`. */
export function ViewTabs({ label, views, drops = [] }: ViewTabsProps): ReactNode {
  const [query, setQuery] = useQuery();
  const shown = query.get('view') ?? '';
  const dropped = Object.fromEntries(drops.map((key) => [key, undefined]));
  return (
    <nav className="views" aria-label={label}>
      {views.map(({ view, title }) => (
        <button
          key={view}
          type="button"
          className="button"
          aria-current={view === shown ? 'page' : undefined}
          onClick={() => setQuery({ ...dropped, view })}
        >
          {title}
        </button>
      ))}
    </nav>
  );
}
