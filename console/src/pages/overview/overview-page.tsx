import type { ReactNode } from 'react';
import type { Overview, Problem } from '../../api/overview.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Link } from '../../parts/link.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { commandLine } from '../../words/command.ts';
import { formatCount } from '../../words/format.ts';
import { Sparkline } from './sparkline.tsx';

const SEVERITY: Readonly<Record<Problem['severity'], { word: string; tone: Tone }>> = {
  page: { word: 'now', tone: 'denied' },
  ticket: { word: 'soon', tone: 'failing' },
  info: { word: 'to know', tone: 'unknown' },
};

/** Is everything all right? */
export function OverviewPage(): ReactNode {
  const answer = useAnswer<Overview>('/overview', {
    topics: ['overview', 'enforcement', 'policy', 'denials'],
  });
  const overview = answer.data;
  return (
    <div className="page">
      <PageHead
        title="Overview"
        sentence={overview && <Words text={overview.sentence} />}
        command={commandLine(['status'])}
        exported={{
          name: 'palisade-overview',
          columns: [
            { head: 'severity', value: (problem: Problem) => problem.severity },
            { head: 'sentence', value: (problem: Problem) => problem.sentence },
            { head: 'command', value: (problem: Problem) => problem.command },
          ],
          rows: overview?.problems ?? [],
        }}
      />
      <AnswerNote answer={answer} />
      {overview !== undefined && (
        <>
          <section aria-labelledby="needs" className="section">
            <h2 id="needs">What needs a person</h2>
            <Problems problems={overview.problems} />
          </section>
          <section aria-labelledby="lately" className="section">
            <h2 id="lately">The last 15 minutes</h2>
            <Strip overview={overview} />
          </section>
          <section aria-labelledby="counts" className="section">
            <h2 id="counts">The mesh</h2>
            <Counts counts={overview.counts} />
          </section>
        </>
      )}
    </div>
  );
}

function Problems(props: { problems: readonly Problem[] }): ReactNode {
  if (props.problems.length === 0) return <p className="quiet">Nothing needs a person now.</p>;
  return (
    <ul className="problems">
      {props.problems.map((problem) => (
        <li key={problem.sentence}>
          <StateWord
            tone={SEVERITY[problem.severity].tone}
            {...(problem.severity === 'info' ? { icon: 'info' as const } : {})}
          >
            {SEVERITY[problem.severity].word}
          </StateWord>
          <p>
            <Words text={problem.sentence} />
          </p>
          {problem.command !== null && <CopyCommand command={problem.command} />}
        </li>
      ))}
    </ul>
  );
}

function Strip({ overview }: { overview: Overview }): ReactNode {
  const { series } = overview;
  const lines = [
    { name: 'Calls', tone: 'unknown', values: series.calls, to: '/traffic' },
    { name: 'Denied', tone: 'denied', values: series.denied, to: '/denials' },
    { name: 'Errors', tone: 'failing', values: series.errors, to: '/traffic' },
  ] as const;
  return (
    <ul className="strip">
      {lines.map((line) => (
        <li key={line.name}>
          <Link to={line.to}>{line.name}</Link>
          <strong className="number">
            {formatCount(line.values.reduce((sum, value) => sum + value, 0))}
          </strong>
          <Sparkline
            values={line.values}
            tone={line.tone}
            label={`${line.name} per ${series.stepSeconds} seconds, last 15 minutes`}
          />
        </li>
      ))}
    </ul>
  );
}

function Counts({ counts }: { counts: Overview['counts'] }): ReactNode {
  const lines = [
    ['Services', `${formatCount(counts.services)}`, '/map'],
    ['Edges encrypted', `${counts.edgesEncrypted} of ${counts.edges}`, '/map'],
    ['Sidecars up', `${counts.proxiesConnected} of ${counts.proxies}`, '/enforcement'],
    ['Stale', formatCount(counts.stale), '/enforcement'],
    ['Policies', formatCount(counts.policies), '/policies'],
    ['Identities', formatCount(counts.identities), '/identities'],
    ['Denials, last hour', formatCount(counts.denialsLastHour), '/denials'],
  ] as const;
  return (
    <ul className="counts">
      {lines.map(([name, value, to]) => (
        <li key={name}>
          <strong className="number">{value}</strong>
          <Link to={to}>{name}</Link>
        </li>
      ))}
    </ul>
  );
}
