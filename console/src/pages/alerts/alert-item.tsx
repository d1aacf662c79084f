import { type ReactNode, useId } from 'react';
import type { Alert } from '../../api/alert.ts';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { EvidenceLink } from '../../parts/evidence-link.tsx';
import { Facts } from '../../parts/facts.tsx';
import { Icon } from '../../parts/icon.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { patchQuery } from '../../route/query.ts';
import { runbookName } from './alert-order.ts';
import { SilenceForm } from './silence-form.tsx';

type AlertItemProps = {
  alert: Alert;
  isOpen: boolean;
  /** Told the id that should be open, or `none`. */
  onToggle: (id: string) => void;
};

/** One alert: how bad, what, since when; opened, why it is believed and what to do about it. */
export function AlertItem({ alert, isOpen, onToggle }: AlertItemProps): ReactNode {
  const bodyId = useId();
  return (
    <li className="alert" data-open={isOpen ? '' : undefined}>
      <h3>
        <button
          type="button"
          className="alert-head"
          aria-expanded={isOpen}
          aria-controls={bodyId}
          onClick={() => onToggle(isOpen ? 'none' : alert.id)}
        >
          <Icon name="right" />
          <Severity alert={alert} />
          <span className="alert-summary">
            <Words text={alert.summary} />
          </span>
          <span className="alert-when quiet">
            <Moment at={alert.state === 'resolved' ? alert.ends_at : alert.starts_at} />
          </span>
        </button>
      </h3>
      <div id={bodyId} className="alert-body" hidden={!isOpen}>
        {isOpen && <AlertBody alert={alert} />}
      </div>
    </li>
  );
}

function Severity({ alert }: { alert: Alert }): ReactNode {
  const { tone, word } = severityOf(alert);
  return <StateWord tone={tone}>{word}</StateWord>;
}

function severityOf(alert: Alert): { tone: Tone; word: string } {
  if (alert.state === 'resolved') return { tone: 'allowed', word: 'over' };
  if (alert.silenced_by) return { tone: 'unknown', word: 'silenced' };
  if (alert.inhibited_by) return { tone: 'unknown', word: 'expected' };
  return alert.severity === 'page'
    ? { tone: 'denied', word: 'page' }
    : { tone: 'failing', word: 'ticket' };
}

function AlertBody({ alert }: { alert: Alert }): ReactNode {
  const runbook = runbookName(alert.runbook);
  return (
    <>
      <div className="alert-why">
        <h4>Evidence</h4>
        <Evidence alert={alert} />
        {alert.likely_cause && (
          <>
            <h4>Likely cause</h4>
            <p>
              <Words text={alert.likely_cause} />
            </p>
          </>
        )}
        <Facts lines={factsOf(alert)} />
      </div>
      <div className="alert-do">
        {alert.command && (
          <>
            <h4>A safe first step</h4>
            <CopyCommand command={alert.command} />
          </>
        )}
        {runbook !== undefined && (
          <p>
            <Link to={`/alerts${patchQuery(window.location.search, { runbook })}`}>
              Runbook: {runbook}
            </Link>
          </p>
        )}
        {alert.state === 'firing' && !alert.silenced_by && <SilenceForm alert={alert} />}
      </div>
    </>
  );
}

function Evidence({ alert }: { alert: Alert }): ReactNode {
  const evidence = alert.evidence ?? [];
  if (evidence.length === 0) return <p className="quiet">It came without evidence.</p>;
  return (
    <ul className="bullets">
      {evidence.map((entry) => (
        <li key={`${entry.text} ${entry.link ?? ''}`}>
          <EvidenceLink to={entry.link}>
            <Words text={entry.text} />
          </EvidenceLink>
        </li>
      ))}
    </ul>
  );
}

function factsOf(alert: Alert): readonly (readonly [string, ReactNode])[] {
  return [
    ['Alert', <code key="name">{alert.name}</code>],
    ['Since', <Moment key="since" at={alert.starts_at} />],
    ['Until', alert.ends_at && <Moment key="until" at={alert.ends_at} />],
    ['Silenced by', alert.silenced_by],
    ['Because of', alert.inhibited_by],
    ...Object.entries(alert.labels ?? {})
      .filter(([name]) => !['alertname', 'severity'].includes(name))
      .map(([name, value]) => [name, value] as const),
  ];
}
