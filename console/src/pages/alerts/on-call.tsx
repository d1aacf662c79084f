import type { ReactNode } from 'react';
import type { Slo } from '../../api/alert.ts';
import type { AuditPage } from '../../api/audit-event.ts';
import type { EnforcementPoint } from '../../api/enforcement-point.ts';
import type { IdentityPage } from '../../api/identity.ts';
import type { Page } from '../../api/page.ts';
import type { PolicySetSummary } from '../../api/policy-set.ts';
import type { Rollups } from '../../api/rollups.ts';
import { isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { useNow } from '../../live/use-now.ts';
import { Loading } from '../../parts/answer-states.tsx';
import { TimeRangePicker } from '../../parts/time-range-picker.tsx';
import { apiPath } from '../../route/query.ts';
import { parseTimeRange, rangeMs, rangeQuery, rollupsPath } from '../../route/time-range.ts';
import { useQuery } from '../../route/use-place.ts';
import { BurnRates } from './burn-rates.tsx';
import { changesOfAudit, changesOfSets } from './changes.ts';
import { EdgeTrouble } from './edge-trouble.tsx';
import { ChangeList, LateIdentities, StalePoints } from './on-call-lists.tsx';
import { Silences } from './silences.tsx';

const DEFAULT_SPAN = '1h';
const SPANS = ['15m', '1h', '6h', '24h', '7d'] as const;

/** What whoever is on call looks at besides the alerts themselves. */
export function OnCall(): ReactNode {
  const [query, setQuery] = useQuery();
  const nowMs = useNow();
  const range = parseTimeRange(query, DEFAULT_SPAN);
  const time = rangeQuery(range);
  const slos = useAnswer<Page<Slo>>('/slos', { topics: ['alerts'] });
  const edges = useAnswer<Rollups>(rollupsPath(range, 'edge'));
  const audit = useAnswer<AuditPage>(apiPath('/audit', { log: 'control', ...time, limit: '200' }), {
    topics: ['audit'],
  });
  const sets = useAnswer<Page<PolicySetSummary>>('/policy-sets?limit=200', { topics: ['policy'] });
  const points = useAnswer<Page<EnforcementPoint>>('/enforcement-points?limit=1000', {
    topics: ['enforcement'],
  });
  const identities = useAnswer<IdentityPage>('/identities?current=true&limit=1000', {
    topics: ['identities'],
  });
  // All at once: a list that comes late would push the others from under the pointer.
  if (![slos, edges, audit, sets, points, identities].every(isSettled)) return <Loading rows={8} />;
  const fromMs = rangeMs(range, nowMs).fromMs;
  const changes =
    audit.data === undefined
      ? changesOfSets(sets.data?.items ?? [], fromMs)
      : changesOfAudit(audit.data.items);
  return (
    <>
      <BurnRates answer={slos} />
      <EdgeTrouble answer={edges} range={range}>
        <TimeRangePicker
          range={range}
          defaultSpan={DEFAULT_SPAN}
          spans={SPANS}
          onChange={setQuery}
        />
      </EdgeTrouble>
      <div className="on-call">
        <ChangeList changes={changes} isAudited={audit.data !== undefined} />
        <div>
          <StalePoints answer={points} />
          <LateIdentities answer={identities} />
        </div>
      </div>
      <Silences />
    </>
  );
}
