import { type ReactNode, useId } from 'react';
import type { DenialGroup } from '../../api/denial.ts';
import { CallNames } from '../../parts/call-names.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Facts } from '../../parts/facts.tsx';
import { Icon } from '../../parts/icon.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { SmallestChange } from '../../parts/smallest-change.tsx';
import { SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { Words } from '../../parts/words.tsx';
import { patchQuery } from '../../route/query.ts';
import { commandLine } from '../../words/command.ts';
import { formatCount } from '../../words/format.ts';
import { plainName } from '../../words/names.ts';
import { decisionSentence } from '../../words/reason.ts';
import { revokePlace } from '../identities/revoke-scope.ts';

type DenialGroupProps = {
  group: DenialGroup;
  /** The stretch that is counted, as the CLI writes it. */
  since: string;
  isOpen: boolean;
  /** Told the id that should be open, or `none`. */
  onToggle: (id: string) => void;
};

/** Calls stopped for one reason: who, where, how often and why; opened, what would allow them. */
export function DenialGroupItem({ group, since, isOpen, onToggle }: DenialGroupProps): ReactNode {
  const bodyId = useId();
  return (
    <li className="denial" data-open={isOpen ? '' : undefined}>
      <h2>
        <button
          type="button"
          className="denial-head"
          aria-expanded={isOpen}
          aria-controls={bodyId}
          onClick={() => onToggle(isOpen ? 'none' : group.id)}
        >
          <Icon name="right" />
          <CallNames
            from={plainName(group.source, group.sourceId)}
            to={plainName(serviceOf(group), group.sourceId)}
          />
          <span className="denial-count number">
            {formatCount(group.count)} <span className="quiet">denied</span>
          </span>
          <span className="denial-when quiet">
            <Moment at={group.last} />
          </span>
        </button>
      </h2>
      <p className="denial-why">
        <Words text={group.sentence} />
      </p>
      <div id={bodyId} className="denial-body" hidden={!isOpen}>
        {isOpen && <GroupBody group={group} since={since} />}
      </div>
    </li>
  );
}

function GroupBody({ group, since }: { group: DenialGroup; since: string }): ReactNode {
  const { sample } = group;
  return (
    <>
      <section className="denial-facts">
        <h3>What was stopped</h3>
        <Facts
          lines={[
            ['Caller', <SpiffeIdText key="caller" id={group.sourceId} />],
            ['Because', decisionSentence({ ...group, verdict: 'deny' })],
            ['Policy', policyWords(group)],
            ['First', <Moment key="first" at={group.first} />],
            ['Last', <Moment key="last" at={group.last} />],
            [
              'For example',
              <Link key="sample" to={`/denials/${encodeURIComponent(sample.denialId)}`}>
                {[sample.method, sample.path].filter(Boolean).join(' ') || 'a connection'}
              </Link>,
            ],
          ]}
        />
        <p className="panel-links">
          <Link
            to={`/traffic${patchQuery('', {
              denied: 'true',
              from: group.sourceId ?? group.source,
              to: serviceOf(group),
              since,
            })}`}
          >
            These calls
          </Link>
        </p>
        <CopyCommand command={commandLine(['explain', sample.denialId])} />
        {group.sourceId !== null && (
          <>
            <h3>If it is an attack</h3>
            <p className="quiet">
              The caller’s identity ends at both sides of every connection, its live ones too.{' '}
              <Link to={revokePlace(group.sourceId)}>What that cuts</Link>
            </p>
            <CopyCommand
              command={commandLine(
                ['identity', 'revoke', group.sourceId],
                [['reason', `denied at ${serviceOf(group)}`]],
              )}
            />
          </>
        )}
      </section>
      <section className="denial-change">
        <h3>The smallest change that would allow it</h3>
        <SmallestChange change={group.smallestChange} />
      </section>
    </>
  );
}

/** The service that was called, as `namespace/name`. */
function serviceOf(group: DenialGroup): string {
  const { namespace, destination } = group;
  return destination.includes('/') ? destination : `${namespace}/${destination}`;
}

function policyWords(group: DenialGroup): string | undefined {
  if (group.policy === null) return undefined;
  return group.rule === null ? group.policy : `${group.policy}, rule ${group.rule}`;
}
