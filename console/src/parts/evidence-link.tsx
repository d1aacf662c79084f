import type { ReactNode } from 'react';
import { Link } from './link.tsx';

/**
 * A link that came with data. SECURITY: only pages of this console are linked; another address, and
 * above all `javascript:`, stays text.
 */
export function EvidenceLink(props: {
  to: string | null | undefined;
  children: ReactNode;
}): ReactNode {
  const { to, children } = props;
  const isOurs = to !== null && to !== undefined && /^\/(?![/\\])/.test(to);
  if (isOurs) return <Link to={to}>{children}</Link>;
  return to ? <span title={to}>{children}</span> : children;
}
