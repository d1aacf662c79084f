import type { ReactNode } from 'react';
import type { Posture, PosturePart } from '../../api/posture.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Link } from '../../parts/link.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { TrendChart } from '../../parts/trend-chart.tsx';
import { Words } from '../../parts/words.tsx';
import { formatShare } from '../../words/format.ts';
import { instantMs } from '../../words/rollup.ts';

/** How well protected the mesh is: a score that says what each point was lost for, and what wins it back. */
export function PostureSection({ answer }: { answer: Answer<Posture> }): ReactNode {
  const posture = answer.data;
  return (
    <section aria-labelledby="posture" className="section">
      <h2 id="posture">Posture</h2>
      <AnswerNote answer={answer} rows={5} />
      {posture !== undefined && (
        <div className="posture">
          <div className="posture-parts">
            <p className="posture-score">
              <strong className="number">{Math.round(posture.score)}</strong> of {posture.of}{' '}
              <span className="quiet">{lostWords(posture)}</span>
            </p>
            <ul>
              {posture.parts.map((part) => (
                <Part key={part.name} part={part} />
              ))}
            </ul>
          </div>
          <div className="posture-side">
            <Coverage posture={posture} />
            <RiskTrend posture={posture} />
          </div>
        </div>
      )}
    </section>
  );
}

function Part({ part }: { part: PosturePart }): ReactNode {
  const isFull = part.score >= part.of;
  const share = part.of === 0 ? 1 : part.score / part.of;
  return (
    <li className="posture-part">
      <StateWord tone={isFull ? 'allowed' : 'failing'}>{part.name}</StateWord>
      <span className="posture-points">
        <span className="number">
          {round(part.score)} of {part.of}
        </span>
        <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect className="posture-of" width="100" height="4" />
          <rect data-tone={isFull ? 'allowed' : 'failing'} width={share * 100} height="4" />
        </svg>
      </span>
      <span className="posture-why">
        <Words text={part.why} />
        {part.fix && !isFull && (
          <>
            {' '}
            <strong>
              To win it back: <Words text={part.fix} />
            </strong>
          </>
        )}
      </span>
      {part.command && !isFull && <CopyCommand command={part.command} />}
    </li>
  );
}

/** What the missing points were lost for, the most expensive first. */
function lostWords(posture: Posture): string {
  const lost = posture.parts
    .filter((part) => part.score < part.of)
    .toSorted((a, b) => b.of - b.score - (a.of - a.score))
    .map((part) => `${round(part.of - part.score)} by ${part.name}`);
  return lost.length === 0 ? 'Nothing is lost.' : `Lost: ${lost.join(', ')}.`;
}

function Coverage({ posture }: { posture: Posture }): ReactNode {
  const lines = [
    ['Edges in mutual TLS', posture.mtls_coverage, '/map'],
    ['Services under a policy', posture.policy_coverage, '/policies'],
    ['Calls on the record', posture.audit_coverage, '/evidence?view=completeness'],
  ] as const;
  return (
    <>
      <h3>Coverage</h3>
      <ul className="coverage">
        {lines.map(([name, share, to]) => (
          <li key={name}>
            <Link to={to}>{name}</Link>
            <strong className="number">{share === null ? 'not known' : formatShare(share)}</strong>
          </li>
        ))}
      </ul>
    </>
  );
}

function RiskTrend({ posture }: { posture: Posture }): ReactNode {
  const { risk_trend: trend, of } = posture;
  if (trend.length < 2) {
    return <p className="quiet">The trend begins when the score was kept for a while.</p>;
  }
  return (
    <>
      <h3>Score over time</h3>
      <TrendChart
        label="Posture score over time"
        instants={trend.map(([instant]) => instantMs(instant))}
        line={{
          name: 'Score',
          tone: 'unknown',
          values: trend.map(([, score]) => Math.round(score)),
        }}
        from={0}
        to={of}
      />
    </>
  );
}

function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
