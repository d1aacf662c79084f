import type { ReactNode } from 'react';
import type { AuditVerification } from '../../api/audit-event.ts';
import type { Completeness } from '../../api/completeness.ts';
import type { Page } from '../../api/page.ts';
import type { Sink } from '../../api/sink.ts';
import { isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { Loading } from '../../parts/answer-states.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { ViewTabs } from '../../parts/view-tabs.tsx';
import { apiPath } from '../../route/query.ts';
import { parseTimeRange, rangeQuery } from '../../route/time-range.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import { AuditView } from './audit-view.tsx';
import { CompletenessView } from './completeness-view.tsx';
import { evidenceSentence } from './evidence-state.ts';
import { SinksView } from './sinks-view.tsx';
import { VerificationLines } from './verification-lines.tsx';

const VIEWS = [
  { view: '', title: 'Audit log' },
  { view: 'completeness', title: 'Completeness' },
  { view: 'sinks', title: 'Sinks' },
] as const;

/** How far back evidence is shown where the address does not say. */
export const EVIDENCE_SPAN = '24h';

/** Can I prove it? */
export function EvidencePage(): ReactNode {
  const [query] = useQuery();
  const range = parseTimeRange(query, EVIDENCE_SPAN);
  const { since, until } = rangeQuery(range);
  const verification = useAnswer<AuditVerification>('/audit/verification', { topics: ['audit'] });
  const completeness = useAnswer<Completeness>(
    apiPath('/completeness', { from: since, until }),
    {},
  );
  const sinks = useAnswer<Page<Sink>>('/sinks', { topics: ['sinks'] });
  // Until all three said something, bars stand where they will: a page that grows downwards piece by
  // piece moves what someone is about to press.
  const isAnswered = [verification, completeness, sinks].every(isSettled);
  const tabs = <ViewTabs label="Views of the evidence" views={VIEWS} drops={['q', 'event']} />;
  if (!isAnswered) return <Waiting tabs={tabs} />;
  const sentence = evidenceSentence({
    verification: verification.data,
    completeness: completeness.data,
    sinks: sinks.data?.items,
  });
  switch (query.get('view')) {
    case 'completeness':
      return (
        <CompletenessView answer={completeness} range={range} sentence={sentence} tabs={tabs} />
      );
    case 'sinks':
      return <SinksView answer={sinks} sentence={sentence} tabs={tabs} />;
    default:
      return (
        <AuditView range={range} sentence={sentence} tabs={tabs}>
          <VerificationLines answer={verification} />
        </AuditView>
      );
  }
}

function Waiting({ tabs }: { tabs: ReactNode }): ReactNode {
  return (
    <div className="page">
      <PageHead
        title="Evidence"
        sentence={undefined}
        command={commandLine(['audit', 'verify'])}
        exported={{ name: 'palisade-audit', columns: [], rows: [] }}
      />
      {tabs}
      <Loading rows={10} />
    </div>
  );
}
