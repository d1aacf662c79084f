import type { ReactNode } from 'react';
import { useLiveState } from './live/use-live.ts';
import { AlertsPage } from './pages/alerts/alerts-page.tsx';
import { DenialPage } from './pages/denials/denial-page.tsx';
import { DenialsPage } from './pages/denials/denials-page.tsx';
import { EnforcementPage } from './pages/enforcement/enforcement-page.tsx';
import { EvidencePage } from './pages/evidence/evidence-page.tsx';
import { IdentitiesPage } from './pages/identities/identities-page.tsx';
import { MapPage } from './pages/map/map-page.tsx';
import { NotFoundPage, SignedOutPage } from './pages/outside-pages.tsx';
import { OverviewPage } from './pages/overview/overview-page.tsx';
import { PoliciesPage } from './pages/policies/policies-page.tsx';
import { TracePage } from './pages/trace/trace-page.tsx';
import { TrafficPage } from './pages/traffic/traffic-page.tsx';
import { usePath } from './route/use-place.ts';
import { Shell } from './shell/shell.tsx';

/** The console: one shell around the page that the address names. */
export function App(): ReactNode {
  const path = usePath();
  const live = useLiveState();
  if (live.kind === 'signed-out') return <SignedOutPage />;
  return <Shell path={path}>{pageAt(path)}</Shell>;
}

function pageAt(path: string): ReactNode {
  if (path.startsWith('/denials/')) {
    return <DenialPage id={lastPart(path, '/denials/')} />;
  }
  if (path.startsWith('/traffic/traces/')) {
    return <TracePage id={lastPart(path, '/traffic/traces/')} />;
  }
  switch (path) {
    case '/':
      return <OverviewPage />;
    case '/alerts':
      return <AlertsPage />;
    case '/map':
      return <MapPage />;
    case '/traffic':
      return <TrafficPage />;
    case '/denials':
      return <DenialsPage />;
    case '/policies':
      return <PoliciesPage />;
    case '/enforcement':
      return <EnforcementPage />;
    case '/identities':
      return <IdentitiesPage />;
    case '/evidence':
      return <EvidencePage />;
    default:
      return <NotFoundPage path={path} />;
  }
}

/** What an address names below a page; text that is no escape stays as it is. */
function lastPart(path: string, page: string): string {
  const text = path.slice(page.length);
  try {
    return decodeURIComponent(text);
  } catch {
    // Somebody typed a `%`: the page then says that there is nothing of that name.
    return text;
  }
}
