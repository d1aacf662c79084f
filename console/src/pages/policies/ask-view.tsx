import { type ReactNode, useId, useState } from 'react';
import type { Explanation } from '../../api/denial.ts';
import { type ApiAnswer, fetchJson } from '../../api/fetch-json.ts';
import { Considered } from '../../parts/considered.tsx';
import { SmallestChange } from '../../parts/smallest-change.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { TextField } from '../../parts/text-field.tsx';
import { useQuery } from '../../route/use-place.ts';
import { reasonSentence } from '../../words/reason.ts';

/** May this call pass, and why: a form, and every policy considered as a tree. */
export function AskView(): ReactNode {
  const [query, setQuery] = useQuery();
  const [answer, setAnswer] = useState<ApiAnswer<Explanation>>();
  const id = useId();
  const read = (name: string): string => query.get(name) ?? '';
  const asked = {
    from: read('from'),
    to: read('to'),
    method: read('method'),
    path: read('path'),
  };
  const ask = async (): Promise<void> => {
    const given = Object.entries(asked).filter(([, value]) => value.trim() !== '');
    setAnswer(await fetchJson<Explanation>('/check', Object.fromEntries(given)));
  };
  return (
    <section aria-labelledby={`${id}-title`} className="view">
      <h2 id={`${id}-title`}>May this call pass?</h2>
      <form
        className="toolbar"
        aria-label="Ask about a call"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        {FIELDS.map(({ name, label, placeholder }) => (
          <TextField
            key={name}
            label={label}
            placeholder={placeholder}
            value={asked[name]}
            onChange={(value) => setQuery({ [name]: value })}
          />
        ))}
        <button type="submit" className="button" disabled={asked.to.trim() === ''}>
          Ask
        </button>
      </form>
      {answer === undefined && (
        <p className="quiet">
          The answer is that of the sidecars, by what is in force now, with every policy considered.
          Nothing is called. Without a caller the question is about one without an identity.
        </p>
      )}
      <div role="status">{answer !== undefined && <Answered answer={answer} />}</div>
    </section>
  );
}

const FIELDS = [
  { name: 'from', label: 'From', placeholder: 'web, shop/web, or nobody' },
  { name: 'to', label: 'To', placeholder: 'orders or shop/orders' },
  { name: 'method', label: 'Method', placeholder: 'GET' },
  { name: 'path', label: 'Path', placeholder: '/' },
] as const;

function Answered({ answer }: { answer: ApiAnswer<Explanation> }): ReactNode {
  if (answer.kind === 'failure') {
    return <p className="quiet">There is no answer: {answer.failure.sentence}.</p>;
  }
  const { decision, smallestChange } = answer.data;
  const isAllowed = decision.verdict === 'allow';
  return (
    <div className="answer">
      <p>
        <StateWord tone={isAllowed ? 'allowed' : 'denied'}>
          {isAllowed ? 'Allowed' : 'Denied'}
        </StateWord>
        : {reasonSentence(decision.reason)}
        {decision.policy !== undefined && (
          <>
            {' '}
            (<code>{decision.policy}</code>
            {decision.rule !== undefined && `, rule ${decision.rule}`})
          </>
        )}
        .
      </p>
      <h3>Every policy considered</h3>
      <Considered explanation={answer.data} />
      {!isAllowed && (
        <>
          <h3>The smallest change that would allow it</h3>
          <SmallestChange change={smallestChange} />
        </>
      )}
    </div>
  );
}
