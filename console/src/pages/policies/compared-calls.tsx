import { type ReactNode, useState } from 'react';
import type { ChangedCall, ChangedCalls, VersionVerdict } from '../../api/policy-set.ts';
import { isSettled } from '../../live/answer-cache.ts';
import { askAgain, useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty, Loading } from '../../parts/answer-states.tsx';
import { CallNames } from '../../parts/call-names.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ExportButtons } from '../../parts/export-buttons.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { apiPath } from '../../route/query.ts';
import { formatCount, formatNoun, formatSpanWord } from '../../words/format.ts';
import { plainName, shortName } from '../../words/names.ts';
import { decisionSentence } from '../../words/reason.ts';
import type { VersionPair } from './compared-versions.ts';
import { callsPlace, comparedSentence, requestOf } from './compared-words.ts';

type ComparedCallsProps = {
  namespace: string;
  pair: VersionPair;
  since: string;
  /** Shown once the calls are judged, or cannot be: what comes later moves nothing. */
  children: ReactNode;
};

/** The recorded calls that two versions decide differently: how many in a sentence, then each kind of call. */
export function ComparedCalls({ namespace, pair, since, children }: ComparedCallsProps): ReactNode {
  const path = apiPath(`/policy-sets/${encodeURIComponent(namespace)}/changed-calls`, {
    number: String(pair.after),
    against: String(pair.before),
    since,
  });
  const answer = useAnswer<ChangedCalls>(path, { once: true });
  const [isAsking, setAsking] = useState(false);
  const again = async (): Promise<void> => {
    if (isAsking) return;
    setAsking(true);
    await askAgain(path);
    setAsking(false);
  };
  const { data, failure, heardAt } = answer;
  return (
    <div className="compared">
      <p className="compared-sentence" role="status">
        {data === undefined && failure === undefined
          ? `Judging the calls of the last ${formatSpanWord(since)} by versions ${pair.before} and ${pair.after}.`
          : data && comparedSentence(data, formatSpanWord(since))}
      </p>
      {data === undefined && failure === undefined && <Loading rows={4} />}
      {failure?.code === 'not_found' ? (
        <Empty title="One of these versions is not there.">
          <Words text={failure.sentence} /> Choose among those listed.
        </Empty>
      ) : (
        failure !== undefined && <AnswerNote answer={answer} />
      )}
      {data !== undefined && data.records === 0 && (
        <Empty title={`No call to a service of ${namespace} is on record in that time.`}>
          Without calls nothing can be judged. Choose a longer time.
        </Empty>
      )}
      {data !== undefined && <CallTable calls={data} since={since} />}
      {data !== undefined && (
        <p className="compared-age quiet">
          Judged <Moment at={new Date(heardAt ?? 0).toISOString()} />.{' '}
          <button
            type="button"
            className="button"
            aria-disabled={isAsking}
            onClick={() => void again()}
          >
            {isAsking ? 'Judging' : 'Judge again'}
          </button>
        </p>
      )}
      {isSettled(answer) && children}
    </div>
  );
}

function CallTable({ calls, since }: { calls: ChangedCalls; since: string }): ReactNode {
  if (calls.total === 0) return null;
  const columns = columnsOf(calls, since);
  return (
    <>
      <DataTable
        label={`Calls that version ${calls.after} decides otherwise than version ${calls.before}`}
        columns={columns}
        rows={calls.items}
        keyOf={(call) =>
          [call.caller, call.service, call.method, call.path, call.port, call.before.verdict].join(
            ' ',
          )
        }
        toneOf={(call) => (call.after.verdict === 'deny' ? 'denied' : 'allowed')}
        minWidth="60rem"
      />
      <div className="compared-foot">
        {calls.total > calls.items.length && (
          <p className="quiet">
            The {formatNoun(calls.items.length, 'kind')} of call with the most calls; there are{' '}
            {formatCount(calls.total)}.
          </p>
        )}
        <p className="quiet">
          Records hold neither headers nor tokens, so calls are judged as if they had none; all
          other namespaces’ policy is that of now.
        </p>
        <ExportButtons name="palisade-changed-calls" columns={columns} rows={calls.items} />
      </div>
    </>
  );
}

function columnsOf({ before, after }: ChangedCalls, since: string): readonly Column<ChangedCall>[] {
  return [
    {
      head: 'Call',
      width: '14rem',
      value: (call) => `${call.caller} → ${call.service}`,
      cell: (call) => (
        <CallNames
          from={call.caller.startsWith('spiffe://') ? shortName(call.caller) : call.caller}
          to={plainName(call.service, call.caller)}
          title={`${call.caller} → ${call.service}`}
        />
      ),
      stacked: 'title',
    },
    {
      head: 'Request',
      value: requestOf,
      cell: (call) => <code className="clip">{requestOf(call)}</code>,
      stacked: 'wide',
    },
    {
      head: `Version ${before} says`,
      width: '15rem',
      value: (call) => verdictText(call.before),
      cell: (call) => <Said said={call.before} />,
      stacked: 'wide',
    },
    {
      head: `Version ${after} says`,
      width: '15rem',
      value: (call) => verdictText(call.after),
      cell: (call) => <Said said={call.after} />,
      stacked: 'wide',
    },
    {
      head: 'Calls',
      width: '5rem',
      align: 'end',
      value: (call) => call.count,
      cell: (call) => (
        <Link to={callsPlace(call, since)} title="These calls">
          {formatCount(call.count)}
        </Link>
      ),
    },
  ];
}

function Said({ said }: { said: VersionVerdict }): ReactNode {
  const isAllowed = said.verdict === 'allow';
  return (
    <>
      <StateWord tone={isAllowed ? 'allowed' : 'denied'}>
        {isAllowed ? 'allowed' : 'denied'}
      </StateWord>
      <span className="compared-why quiet">
        {said.policy === null ? decisionSentence(said) : `by ${said.policy}`}
      </span>
    </>
  );
}

function verdictText(said: VersionVerdict): string {
  const verdict = said.verdict === 'allow' ? 'allowed' : 'denied';
  return `${verdict}: ${said.policy === null ? decisionSentence(said) : `by ${said.policy}`}`;
}
