import { type ReactNode, useEffect, useState } from 'react';
import { Loading } from '../../parts/answer-states.tsx';
import { Link } from '../../parts/link.tsx';
import { Markdown } from '../../parts/markdown.tsx';
import { SidePanel } from '../../parts/side-panel.tsx';
import { patchQuery } from '../../route/query.ts';
import { loadRunbook } from './runbooks.ts';

type Text =
  | { readonly kind: 'loading' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'none'; readonly why: string };

/** What to do about an alert, step by step, without leaving the console. */
export function RunbookPanel(props: { name: string; onClose: () => void }): ReactNode {
  const text = useRunbook(props.name);
  return (
    <SidePanel
      label={`Runbook ${props.name}`}
      title={`Runbook: ${props.name}`}
      onClose={props.onClose}
    >
      {text.kind === 'loading' && <Loading rows={8} />}
      {text.kind === 'none' && (
        <p className="quiet">
          {text.why} Look for <code>docs/runbooks/{props.name}.md</code> in the documentation.
        </p>
      )}
      {text.kind === 'text' && <Markdown source={text.text} linkTo={linkTo} />}
    </SidePanel>
  );
}

function useRunbook(name: string): Text {
  const [text, setText] = useState<Text>({ kind: 'loading' });
  useEffect(() => {
    let isWanted = true;
    const show = (next: Text): void => {
      if (isWanted) setText(next);
    };
    const loading = loadRunbook(name);
    if (loading === undefined) {
      show({ kind: 'none', why: 'This console was built without a runbook of that name.' });
    } else {
      show({ kind: 'loading' });
      loading.then(
        (source) => show({ kind: 'text', text: source }),
        () => show({ kind: 'none', why: 'The runbook cannot be fetched now.' }),
      );
    }
    return () => {
      isWanted = false;
    };
  }, [name]);
  return text;
}

/** Other runbooks open here; what else a runbook names is in the repository, so its path is shown. */
function linkTo(href: string, text: string): ReactNode {
  const [, name] = /^(?:\.\/)?([a-z0-9-]+)\.md(?:#.*)?$/.exec(href) ?? [];
  if (name !== undefined && loadRunbook(name) !== undefined) {
    return (
      <Link to={`/alerts${patchQuery(window.location.search, { runbook: name })}`}>{text}</Link>
    );
  }
  return <span title={href}>{text}</span>;
}
