import type { ReactNode } from 'react';
import type { Alert } from '../../api/alert.ts';
import type { Overview, Problem } from '../../api/overview.ts';
import type { Page } from '../../api/page.ts';
import type { Posture } from '../../api/posture.ts';
import type { Rollups } from '../../api/rollups.ts';
import { type Answer, isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Loading } from '../../parts/answer-states.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Link } from '../../parts/link.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { TimeRangePicker } from '../../parts/time-range-picker.tsx';
import { Words } from '../../parts/words.tsx';
import { encodeTimeRange, parseTimeRange, rollupsPath } from '../../route/time-range.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { formatCount } from '../../words/format.ts';
import { type Need, needsOf } from './needs.ts';
import { PostureSection } from './posture-section.tsx';
import { TrafficStrip } from './traffic-strip.tsx';

const SEVERITY: Readonly<Record<Problem['severity'], { word: string; tone: Tone }>> = {
  page: { word: 'now', tone: 'denied' },
  ticket: { word: 'soon', tone: 'failing' },
  info: { word: 'to know', tone: 'unknown' },
};

/** How far back the strip reaches where the address does not say. */
const DEFAULT_SPAN = '1h';
const SPANS = ['15m', '1h', '6h', '24h', '7d'] as const;
/** More than this at once is a list for the page that has it whole. */
const MAX_NEEDS = 8;

/** Is everything all right? */
export function OverviewPage(): ReactNode {
  const [query, setQuery] = useQuery();
  const range = parseTimeRange(query, DEFAULT_SPAN);
  const answer = useAnswer<Overview>('/overview', {
    topics: ['overview', 'enforcement', 'policy', 'denials'],
  });
  const alerts = useAnswer<Page<Alert>>('/alerts', { topics: ['alerts'] });
  const posture = useAnswer<Posture>('/posture', { topics: ['policy', 'alerts'] });
  const rollups = useAnswer<Rollups>(rollupsPath(range, 'total'));
  const overview = answer.data;
  const needs = overview && needsOf(overview.problems, alerts.data?.items ?? []);
  // Sections stand in their final places at once: what comes first must not come last.
  const isSettledAll = [answer, alerts, posture, rollups].every(isSettled);
  return (
    <div className="page">
      <PageHead
        title="Overview"
        sentence={overview && <Words text={overview.sentence} />}
        answer={answer}
        command={commandLine(['status'])}
        exported={{
          name: 'palisade-overview',
          columns: [
            { head: 'severity', value: (need: Need) => need.severity },
            { head: 'sentence', value: (need: Need) => need.sentence },
            { head: 'command', value: (need: Need) => need.command },
          ],
          rows: needs ?? [],
        }}
      />
      {isSettledAll ? <AnswerNote answer={answer} /> : <Loading rows={12} />}
      {isSettledAll && overview !== undefined && (
        <>
          <section aria-labelledby="needs" className="section">
            <h2 id="needs">What needs a person</h2>
            <Needs needs={needs ?? []} alerts={alerts} />
          </section>
          <section aria-labelledby="lately" className="section">
            <div className="section-head">
              <h2 id="lately">Traffic</h2>
              <TimeRangePicker
                range={range}
                defaultSpan={DEFAULT_SPAN}
                spans={SPANS}
                onChange={setQuery}
              />
            </div>
            <TrafficStrip
              range={range}
              rollups={rollups}
              overview={overview}
              onSelect={(chosen) => setQuery(encodeTimeRange(chosen, DEFAULT_SPAN))}
            />
          </section>
          <PostureSection answer={posture} />
          <section aria-labelledby="counts" className="section">
            <h2 id="counts">The mesh</h2>
            <Counts counts={overview.counts} />
          </section>
        </>
      )}
    </div>
  );
}

function Needs(props: { needs: readonly Need[]; alerts: Answer<unknown> }): ReactNode {
  const { needs, alerts } = props;
  return (
    <>
      {alerts.failure !== undefined && (
        <p className="quiet">
          Alerts are not among these: the control plane answered {alerts.failure.sentence}.
        </p>
      )}
      {needs.length === 0 && <p className="quiet">Nothing needs a person now.</p>}
      <ul className="problems">
        {needs.slice(0, MAX_NEEDS).map((need) => (
          <NeedLine key={need.sentence} need={need} />
        ))}
      </ul>
      {needs.length > MAX_NEEDS && (
        <p>
          <Link to="/alerts">{needs.length - MAX_NEEDS} more</Link>
        </p>
      )}
    </>
  );
}

function NeedLine({ need }: { need: Need }): ReactNode {
  const { word, tone } = SEVERITY[need.severity];
  return (
    <li>
      <StateWord tone={tone} {...(need.severity === 'info' ? { icon: 'info' as const } : {})}>
        {word}
      </StateWord>
      <p>
        {need.link === null ? (
          <Words text={need.sentence} />
        ) : (
          <Link to={need.link}>
            <Words text={need.sentence} />
          </Link>
        )}
      </p>
      {need.command !== null && <CopyCommand command={need.command} />}
    </li>
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
