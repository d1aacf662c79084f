import { type ReactNode, useMemo } from 'react';
import type { Alert } from '../../api/alert.ts';
import type { Page } from '../../api/page.ts';
import { isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { Words } from '../../parts/words.tsx';
import { apiPath } from '../../route/query.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import type { ExportColumn } from '../../words/export.ts';
import { AlertItem } from './alert-item.tsx';
import { alertsSentence, groupAlerts, matchAlerts } from './alert-order.ts';
import { OnCall } from './on-call.tsx';
import { RunbookPanel } from './runbook-panel.tsx';

const COLUMNS: readonly ExportColumn<Alert>[] = [
  { head: 'name', value: (alert) => alert.name },
  { head: 'severity', value: (alert) => alert.severity },
  { head: 'state', value: (alert) => alert.state },
  { head: 'starts_at', value: (alert) => alert.starts_at },
  { head: 'ends_at', value: (alert) => alert.ends_at },
  { head: 'summary', value: (alert) => alert.summary },
  { head: 'likely_cause', value: (alert) => alert.likely_cause },
  { head: 'runbook', value: (alert) => alert.runbook },
  { head: 'command', value: (alert) => alert.command },
  { head: 'silenced_by', value: (alert) => alert.silenced_by },
  { head: 'inhibited_by', value: (alert) => alert.inhibited_by },
];

/** Longer lists are not read by anybody on call. */
const MAX_ALERTS = 50;

/** What must I do now? */
export function AlertsPage(): ReactNode {
  const [query, setQuery] = useQuery();
  const showResolved = query.get('resolved') === 'true';
  const answer = useAnswer<Page<Alert>>(
    apiPath('/alerts', { state: showResolved ? 'all' : undefined }),
    { topics: ['alerts', 'overview'] },
  );
  const search = query.get('q') ?? '';
  const alerts = useMemo(
    () => matchAlerts(answer.data?.items ?? [], search),
    [answer.data, search],
  );
  const groups = useMemo(() => groupAlerts(alerts), [alerts]);
  const runbook = query.get('runbook') ?? undefined;
  return (
    <div className="page">
      <PageHead
        title="Alerts"
        sentence={answer.data && <Words text={alertsSentence(groupAlerts(answer.data.items))} />}
        answer={answer}
        command={commandLine(['alerts', 'list'])}
        exported={{ name: 'palisade-alerts', columns: COLUMNS, rows: alerts }}
      />
      <div className="toolbar">
        <SearchBox
          label="Search alerts"
          placeholder="Name, words or label"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={showResolved}
            onChange={(event) => setQuery({ resolved: event.target.checked ? 'true' : undefined })}
          />
          Also those that are over
        </label>
      </div>
      <div className="split" data-open={runbook === undefined ? undefined : ''}>
        <div className="split-main">
          <AnswerNote answer={answer} rows={12} />
          {answer.data !== undefined && (
            <>
              <AskedAlert asked={query.get('alert')} alerts={answer.data.items} />
              <AlertList title="Wants a person" alerts={groups.open} isFirst>
                {search === '' ? 'Nothing is firing.' : 'Nothing that is firing fits.'}
              </AlertList>
              <AlertList title="Silenced or expected" alerts={groups.quiet} />
              <AlertList title="Over" alerts={groups.resolved} />
            </>
          )}
          {isSettled(answer) && <OnCall />}
        </div>
        {runbook !== undefined && (
          <RunbookPanel name={runbook} onClose={() => setQuery({ runbook: undefined })} />
        )}
      </div>
    </div>
  );
}

/** An address may name an alert that is over by now: then that is said instead of another one opened. */
function AskedAlert(props: { asked: string | null; alerts: readonly Alert[] }): ReactNode {
  const { asked, alerts } = props;
  if (asked === null || asked === 'none' || alerts.some(({ id }) => id === asked)) return null;
  return (
    <p className="quiet" role="status">
      The alert that this address names is not firing any more.
    </p>
  );
}

function AlertList(props: {
  title: string;
  alerts: readonly Alert[];
  /** Its first alert is open where the address names none; without alerts it says so. */
  isFirst?: true;
  children?: ReactNode;
}): ReactNode {
  const [query, setQuery] = useQuery();
  const { alerts, isFirst = false } = props;
  const opened = query.get('alert') ?? (isFirst ? alerts[0]?.id : undefined);
  if (alerts.length === 0 && !isFirst) return null;
  return (
    <section className="section" aria-label={props.title}>
      <h2>{props.title}</h2>
      {alerts.length === 0 && <Empty title={String(props.children)} />}
      <ul className="alerts">
        {alerts.slice(0, MAX_ALERTS).map((alert) => (
          <AlertItem
            key={alert.id}
            alert={alert}
            isOpen={alert.id === opened}
            onToggle={(id) => setQuery({ alert: id })}
          />
        ))}
      </ul>
      {alerts.length > MAX_ALERTS && (
        <p className="quiet">
          The first {MAX_ALERTS} of {alerts.length}; a search names the others, and the files have
          them all.
        </p>
      )}
    </section>
  );
}
