import type { ReactNode } from 'react';
import type { ChangedCalls, CommitEntry } from '../../api/policy-set.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { CallNames } from '../../parts/call-names.tsx';
import { Link } from '../../parts/link.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { apiPath } from '../../route/query.ts';
import { formatCount, formatNoun } from '../../words/format.ts';
import { plainName, shortName } from '../../words/names.ts';
import { comparePlace } from './compared-versions.ts';

/** More groups than this are counted, not listed. */
const MOST_ROWS = 10;

/** Which recorded calls a signed change decides otherwise than the version before it. */
export function ChangedCallsList({ commit }: { commit: CommitEntry }): ReactNode {
  const { namespace, number } = commit;
  const answer = useAnswer<ChangedCalls>(
    apiPath(`/policy-sets/${encodeURIComponent(namespace)}/changed-calls`, {
      number: String(number),
      since: '1h',
    }),
    { once: true },
  );
  return (
    <section aria-labelledby="changed-calls">
      <h3 id="changed-calls">In calls</h3>
      <AnswerNote answer={answer} rows={3} />
      {answer.data !== undefined && <Changed calls={answer.data} />}
      <p className="panel-links">
        <Link to={comparePlace(namespace, number - 1, number)}>Compare these two versions</Link>
      </p>
    </section>
  );
}

function Changed({ calls }: { calls: ChangedCalls }): ReactNode {
  const shown = calls.items.slice(0, MOST_ROWS);
  const newest = calls.truncated ? 'the newest ' : '';
  const judged = `Of ${newest}${formatNoun(calls.records, 'call')} of the last hour`;
  if (calls.total === 0) {
    return (
      <p className="quiet">{`${judged}, none is decided otherwise than by version ${calls.before}.`}</p>
    );
  }
  return (
    <>
      <p className="quiet">{`${judged}, these are decided otherwise than by version ${calls.before}. Headers and tokens are not recorded and count as absent.`}</p>
      <table className="cuts">
        <caption className="visually-hidden">Calls decided otherwise</caption>
        <thead>
          <tr>
            <th scope="col">Call</th>
            <th scope="col">Count</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((one) => (
            <tr key={`${one.caller} ${one.service} ${one.method} ${one.path} ${one.port}`}>
              <td>
                <CallNames from={shortName(one.caller)} to={plainName(one.service, one.caller)} />{' '}
                <code>
                  {[one.method, one.path].filter(Boolean).join(' ') || `port ${one.port}`}
                </code>{' '}
                <StateWord tone={one.after.verdict === 'allow' ? 'allowed' : 'denied'}>
                  {one.after.verdict === 'allow' ? 'now allowed' : 'now denied'}
                </StateWord>
              </td>
              <td className="number">{formatCount(one.count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {calls.total > shown.length && (
        <p className="quiet">and {formatNoun(calls.total - shown.length, 'group')} more</p>
      )}
    </>
  );
}
