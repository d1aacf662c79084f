import { type ReactNode, useEffect, useRef } from 'react';
import { PAGES } from '../route/pages.ts';

const KEYS: readonly (readonly [keys: string, does: string])[] = [
  ['/', 'search on this page'],
  ['p', 'pause and go on'],
  ['↑ ↓', 'move in a table'],
  ['Enter', 'open a row, an edge or a service'],
  ['Esc', 'close what is open'],
  ['?', 'this help'],
];

/** The keyboard, and how the states of calls are drawn. */
export function HelpOverlay(props: { onClose: () => void }): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="help"
      aria-labelledby="help-title"
      onClose={props.onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <div className="help-body">
        <h2 id="help-title">Keyboard</h2>
        <dl className="key-list">
          {PAGES.map((page) => (
            <div key={page.path}>
              <dt>
                <kbd>g</kbd> <kbd>{page.key}</kbd>
              </dt>
              <dd>{page.title}</dd>
            </div>
          ))}
          {KEYS.map(([keys, does]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
        <p className="quiet">
          Every view has an address that shows it again, and a command that gives the same answer in
          a terminal. This console reads; changes are signed and made with{' '}
          <code>palisade apply</code>.
        </p>
        <form method="dialog">
          <button type="submit" className="button">
            Close
          </button>
        </form>
      </div>
    </dialog>
  );
}
