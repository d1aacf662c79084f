import type { ReactNode } from 'react';
import type { DenialDetail } from '../../api/denial.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { Considered } from '../../parts/considered.tsx';
import { Facts } from '../../parts/facts.tsx';
import { Link } from '../../parts/link.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SmallestChange } from '../../parts/smallest-change.tsx';
import { SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { commandLine } from '../../words/command.ts';
import { formatInstant } from '../../words/format.ts';
import { nameBeside, shortName } from '../../words/names.ts';
import { reasonSentence } from '../../words/reason.ts';

/** One denial: what was asked, every policy considered rule by rule, and what would allow it. */
export function DenialPage(props: { id: string }): ReactNode {
  const answer = useAnswer<DenialDetail>(`/denials/${encodeURIComponent(props.id)}`, {
    topics: ['policy'],
  });
  const detail = answer.data;
  return (
    <div className="page">
      <p className="crumb">
        <Link to="/denials">All denials</Link>
      </p>
      <PageHead
        title="Denials"
        sentence={detail && sentenceOf(detail)}
        answer={answer}
        command={commandLine(['explain', props.id])}
      />
      {answer.failure?.status === 404 ? (
        <p className="quiet">
          No denial has the id <code>{props.id}</code>, or it is older than the records kept.
        </p>
      ) : (
        <AnswerNote answer={answer} />
      )}
      {detail !== undefined && (
        <div className="denial-detail">
          <section>
            <h2>What was asked</h2>
            <AskedFacts detail={detail} id={props.id} />
          </section>
          <section>
            <h2>What was considered</h2>
            {!detail.exact && (
              <p className="quiet">
                The version that denied it is not kept any more; this is what the oldest kept one
                says.
              </p>
            )}
            <Considered explanation={detail.explanation} />
          </section>
          <section>
            <h2>{detail.now.decision.verdict === 'allow' ? 'Now' : 'What would allow it'}</h2>
            <SmallestChange change={detail.now.smallestChange} />
          </section>
        </div>
      )}
    </div>
  );
}

function sentenceOf({ record, explanation, changedSince, now }: DenialDetail): string {
  const from = shortName(record['source.id'], record['source.service']);
  const to = nameBeside(
    shortName(record['destination.id'], record['destination.service']),
    record['destination.namespace'],
    record['source.id'],
  );
  const reason = reasonSentence(explanation.decision.reason);
  if (!changedSince) return `${from} was stopped at ${to}: ${reason}.`;
  const today = now.decision.verdict === 'allow' ? 'allowed' : 'still denied';
  return `${from} was stopped at ${to}: ${reason}. Policy has changed since, and it would be ${today} now.`;
}

function AskedFacts({ detail, id }: { detail: DenialDetail; id: string }): ReactNode {
  const { record } = detail;
  const versions = Object.entries(detail.evaluatedAt).map(
    ([namespace, number]) => `${namespace} version ${number}`,
  );
  return (
    <Facts
      lines={[
        ['Denial', <code key="id">{id}</code>],
        ['At', formatInstant(record.time)],
        ['Caller', <SpiffeIdText key="caller" id={record['source.id']} />],
        ['Service', <SpiffeIdText key="service" id={record['destination.id']} />],
        ['Request', <code key="request">{requestOf(detail)}</code>],
        ['Host', record.host],
        ['Port', record['destination.port']],
        ['Transport', record['tls.version'] ?? 'plaintext'],
        ['Judged by', versions.join(', ')],
      ]}
    />
  );
}

function requestOf({ record }: DenialDetail): string {
  return [record.method, record.path].filter(Boolean).join(' ') || 'TCP connection';
}
