import { type ReactNode, useId, useState } from 'react';
import { type ApiAnswer, fetchJson } from '../../api/fetch-json.ts';
import type { PolicyTestCase, PolicyTestReport } from '../../api/policy-test.ts';
import { Considered } from '../../parts/considered.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { formatNoun } from '../../words/format.ts';

const EXAMPLE = `apiVersion: palisade.dev/v1
kind: PolicyTest
metadata: {name: shop}
spec:
  cases:
    - name: web reads orders
      from: web
      to: orders
      request: {method: GET, path: /orders}
      expect: allow
    - name: nobody else does
      from: intruder
      to: orders
      request: {method: GET, path: /orders}
      expect: deny
`;

/** Holds what is in force against policy tests; nothing is stored. */
export function TestsView(): ReactNode {
  const id = useId();
  const [text, setText] = useState(EXAMPLE);
  const [answer, setAnswer] = useState<ApiAnswer<PolicyTestReport>>();
  const run = async (): Promise<void> => {
    setAnswer(await fetchJson<PolicyTestReport>('/test', { text }));
  };
  return (
    <section aria-labelledby={`${id}-title`} className="view">
      <h2 id={`${id}-title`}>Is what is in force what was meant?</h2>
      <form
        className="tests"
        aria-label="Run policy tests"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <label htmlFor={`${id}-text`}>Cases, as in the files beside your policies</label>
        <textarea
          id={`${id}-text`}
          rows={16}
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button" disabled={text.trim() === ''}>
          Run against what is in force
        </button>
      </form>
      <div role="status">{answer !== undefined && <Report answer={answer} />}</div>
    </section>
  );
}

function Report({ answer }: { answer: ApiAnswer<PolicyTestReport> }): ReactNode {
  if (answer.kind === 'failure') {
    return (
      <p>
        The cases cannot be read: <Words text={answer.failure.sentence} />
      </p>
    );
  }
  const { cases, coverage } = answer.data;
  const passed = cases.filter((one) => one.passed).length;
  return (
    <div className="answer">
      <p>
        <StateWord tone={passed === cases.length ? 'allowed' : 'failing'}>
          {passed} of {formatNoun(cases.length, 'case')} as expected
        </StateWord>
      </p>
      <ul className="cases">
        {cases.map((one, index) => (
          <li key={index}>
            <Case one={one} />
          </li>
        ))}
      </ul>
      {coverage.length > 0 && (
        <>
          <h3>What no case exercised</h3>
          <ul className="lines">
            {coverage.map(({ policy, rules, unmatchedRules, gaps }) => (
              <li key={policy}>
                <strong>{policy}</strong>{' '}
                {unmatchedRules.length === 0 && gaps.length === 0
                  ? `all of ${formatNoun(rules.all, 'rule')}`
                  : [...unmatchedRules.map((rule) => `rule ${rule} never matched`), ...gaps].join(
                      '; ',
                    )}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Case({ one }: { one: PolicyTestCase }): ReactNode {
  const head = (
    <StateWord tone={one.passed ? 'allowed' : 'failing'}>
      {one.suite}: {one.name}
    </StateWord>
  );
  return (
    <details open={!one.passed}>
      <summary>{head}</summary>
      {one.problems.map((problem) => (
        <p key={problem}>
          <Words text={problem} />
        </p>
      ))}
      {one.explanation !== null && <Considered explanation={one.explanation} />}
    </details>
  );
}
