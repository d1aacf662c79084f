import type { ReactNode } from 'react';
import type { Answer } from '../live/answer-cache.ts';
import { useNow } from '../live/use-now.ts';
import { formatSpan } from '../words/format.ts';
import { Icon } from './icon.tsx';
import { Words } from './words.tsx';

/** Bars where rows will be, of the height the rows will have. */
export function Loading(props: { rows?: number }): ReactNode {
  return (
    <div className="loading" role="status" aria-label="Loading">
      {Array.from({ length: props.rows ?? 6 }, (_, index) => (
        <span key={index} className="skeleton" />
      ))}
    </div>
  );
}

/** Nothing to show, why that is, and what would fill the place. */
export function Empty(props: { title: string; children?: ReactNode }): ReactNode {
  return (
    <div className="empty">
      <p className="empty-title">{props.title}</p>
      {props.children !== undefined && <p className="quiet">{props.children}</p>}
    </div>
  );
}

/**
 * What an answer can show besides itself: bars before the first, the failure instead of it, or a
 * line above an old one that says how old it is.
 */
export function AnswerNote(props: { answer: Answer<unknown>; rows?: number }): ReactNode {
  const { data, failure, heardAt } = props.answer;
  const nowMs = useNow();
  if (failure === undefined) {
    return data === undefined ? <Loading {...(props.rows ? { rows: props.rows } : {})} /> : null;
  }
  const isSilent = failure.code === 'unreachable';
  const sentence = isSilent
    ? 'The control plane does not answer. Enforcement goes on without it; this page will when it is back.'
    : `The control plane answered: ${failure.sentence}`;
  const age =
    heardAt === undefined ? '' : ` Shown is what it said ${formatSpan(nowMs - heardAt)} ago.`;
  return (
    <div className="notice" data-tone={data === undefined ? 'failing' : 'stale'} role="status">
      <Icon name={data === undefined ? 'bang' : 'clock'} />
      <p>
        <Words text={sentence} />
        {age}
        {isSilent && data === undefined && (
          <>
            {' '}
            Look with <code>palisade doctor</code>.
          </>
        )}
      </p>
    </div>
  );
}
