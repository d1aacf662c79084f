import type { ReactNode } from 'react';
import { CopyCommand } from '../parts/copy-command.tsx';
import { Link } from '../parts/link.tsx';

/** Shown instead of everything when the session is over or never began. */
export function SignedOutPage(): ReactNode {
  return (
    <main className="outside">
      <h1>This link has been used or has expired</h1>
      <p>
        A sign-in link opens the console once, in one browser. A new one is printed by the command
        below, and by <code>palisade up</code> each time it starts.
      </p>
      <CopyCommand command="palisade doctor" />
    </main>
  );
}

/** An address that is no page. */
export function NotFoundPage(props: { path: string }): ReactNode {
  return (
    <div className="outside">
      <h1>There is no page here</h1>
      <p>
        <code>{props.path}</code> names none of the console’s pages. <Link to="/">Overview</Link>{' '}
        says whether everything is all right.
      </p>
    </div>
  );
}
