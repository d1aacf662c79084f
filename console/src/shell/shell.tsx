import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react';
import type { MeshInfo } from '../api/mesh-info.ts';
import { liveChannel, useAnswer } from '../live/use-live.ts';
import { Link } from '../parts/link.tsx';
import { PAGES, pageOf } from '../route/pages.ts';
import { useQuery } from '../route/use-place.ts';
import { HelpOverlay } from './help-overlay.tsx';
import { LiveStatus } from './live-status.tsx';
import { ThemeToggle } from './theme-toggle.tsx';
import { useShortcuts } from './use-shortcuts.ts';

/** The frame of every page: navigation, state of the live connection, theme, help. */
export function Shell(props: { path: string; children: ReactNode }): ReactNode {
  const [helpShown, setHelpShown] = useState(false);
  const showHelp = useCallback(() => setHelpShown(true), []);
  useShortcuts({ help: showHelp, pause: togglePause });
  const main = useFocusOnPage(props.path);
  return (
    <div className="shell">
      <a className="skip-link" href="#main">
        Skip to the page
      </a>
      <header className="shell-top">
        <Brand />
        <div className="shell-tools">
          <LiveStatus />
          <ThemeToggle />
          <button type="button" className="tool-button" onClick={showHelp} title="Keyboard (?)">
            <span aria-hidden="true">?</span>
            <span className="visually-hidden">Keyboard and help</span>
          </button>
        </div>
      </header>
      <nav className="shell-nav" aria-label="Pages">
        <ul>
          {PAGES.map((page) => (
            <li key={page.path}>
              <Link
                to={page.path}
                {...(pageOf(props.path) === page ? { 'aria-current': 'page' as const } : {})}
              >
                {page.title}
                <kbd aria-hidden="true">g {page.key}</kbd>
              </Link>
            </li>
          ))}
        </ul>
        <form method="post" action="/sign-out">
          <button type="submit">Sign out</button>
        </form>
      </nav>
      <main id="main" className="shell-main" tabIndex={-1} ref={main}>
        {props.children}
      </main>
      {helpShown && <HelpOverlay onClose={() => setHelpShown(false)} />}
    </div>
  );
}

function Brand(): ReactNode {
  const mesh = useAnswer<MeshInfo>('/mesh').data;
  return (
    <Link to="/" className="brand" title="Overview">
      <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
        <path d="M2 8l3-5 3 5v14H2zM9 8l3-5 3 5v14H9zM16 8l3-5 3 5v14h-6z" />
      </svg>
      <span className="brand-name">Palisade</span>
      <span className="brand-domain">{mesh?.trustDomain}</span>
    </Link>
  );
}

function togglePause(): void {
  if (liveChannel.state().kind === 'paused') liveChannel.resume();
  else liveChannel.pause();
}

/** Moves the focus to the new page, so that keyboard and screen reader start at its beginning. */
function useFocusOnPage(path: string): React.RefObject<HTMLElement | null> {
  const main = useRef<HTMLElement>(null);
  const shownPath = useRef(path);
  useEffect(() => {
    // On narrow screens the navigation scrolls sideways; the current page must be in view.
    document
      .querySelector('.shell-nav [aria-current]')
      ?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    document.title = `${pageOf(path)?.title ?? 'Not found'} · Palisade`;
    if (shownPath.current === path) return;
    shownPath.current = path;
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [path]);
  const [query] = useQuery();
  useEffect(() => {
    // What was pressed may have left with the view it stood in; the next key must still be heard here.
    if (query.size > 0 && document.activeElement === document.body) {
      main.current?.focus({ preventScroll: true });
    }
  }, [query]);
  return main;
}
