import type { ReactNode } from 'react';
import type { AuditEvent } from '../../api/audit-event.ts';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Facts } from '../../parts/facts.tsx';
import { Link } from '../../parts/link.tsx';
import { SidePanel } from '../../parts/side-panel.tsx';
import { SourceView } from '../../parts/source-view.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { patchQuery } from '../../route/query.ts';
import { commandLine } from '../../words/command.ts';
import { formatInstant } from '../../words/format.ts';

type AuditPanelProps = { event: AuditEvent; log: string; onClose: () => void };

/** One entry of an audit log: who did what, what changed by it, and where it stands in the chain. */
export function AuditPanel({ event, log, onClose }: AuditPanelProps): ReactNode {
  return (
    <SidePanel
      label={`Audit event ${event.index}`}
      title={<code>{event.action}</code>}
      onClose={onClose}
    >
      <p className="panel-state">
        <StateWord tone={event.result === 'ok' ? 'allowed' : 'denied'}>
          {event.result === 'ok' ? 'done' : 'refused'}
        </StateWord>
      </p>
      {event.reason && (
        <p>
          <Words text={event.reason} />
        </p>
      )}
      <Facts
        lines={[
          ['At', formatInstant(event.time)],
          ['Who', event['actor.id'] && <code key="actor">{event['actor.id']}</code>],
          ['From', event['actor.ip']],
          ['What', <TargetLink key="target" event={event} />],
          ['Log', `${event.log ?? log}, entry ${event.index}`],
          ['Hash', event.hash && <code key="hash">{event.hash}</code>],
          ['After', event.previous_hash && <code key="previous">{event.previous_hash}</code>],
        ]}
      />
      {event.diff && (
        <section aria-labelledby="audit-diff">
          <h3 id="audit-diff">What changed</h3>
          <SourceView text={event.diff} label="The changed lines" diff />
        </section>
      )}
      <CopyCommand command={commandLine(['audit', 'verify'], [['full', true]])} />
    </SidePanel>
  );
}

/** What an event is about, in words. */
export function targetOf(event: AuditEvent): string {
  const name = [event['target.namespace'], event['target.name']].filter(Boolean).join('/');
  return [event['target.kind'], name].filter(Boolean).join(' ') || '–';
}

function TargetLink({ event }: { event: AuditEvent }): ReactNode {
  const namespace = event['target.namespace'];
  const isPolicy = event.action.startsWith('policy.') && namespace;
  if (!isPolicy) return <span>{targetOf(event)}</span>;
  return <Link to={`/policies${patchQuery('', { ns: namespace })}`}>{targetOf(event)}</Link>;
}
