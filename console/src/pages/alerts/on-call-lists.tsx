import type { ReactNode } from 'react';
import type { EnforcementPoint } from '../../api/enforcement-point.ts';
import type { IdentityPage } from '../../api/identity.ts';
import type { Page } from '../../api/page.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useNow } from '../../live/use-now.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { patchQuery } from '../../route/query.ts';
import { shortName } from '../../words/names.ts';
import { nameOf, pointState, sortPoints } from '../enforcement/point-rows.ts';
import { renewalOf } from '../identities/horizon.ts';
import type { Change } from './changes.ts';

const MAX_LINES = 10;

/** What changed lately, by whom. */
export function ChangeList(props: { changes: readonly Change[]; isAudited: boolean }): ReactNode {
  const { changes, isAudited } = props;
  return (
    <section className="section" aria-labelledby="changes">
      <h2 id="changes">What changed</h2>
      {!isAudited && (
        <p className="quiet">Without the audit log only the newest signed policy is known.</p>
      )}
      {changes.length === 0 && <p className="quiet">Nothing in this time.</p>}
      <ul className="on-call-lines">
        {changes.slice(0, MAX_LINES).map((change) => (
          <li key={change.key}>
            <Moment at={change.time} />
            <span>
              <Link to={change.link}>{change.what}</Link>
              {change.who !== null && <span className="quiet"> by {shortName(change.who)}</span>}
            </span>
            {change.refused && <StateWord tone="denied">refused</StateWord>}
          </li>
        ))}
      </ul>
      {changes.length > MAX_LINES && (
        <p>
          <Link to="/evidence">{changes.length - MAX_LINES} more in the audit log</Link>
        </p>
      )}
    </section>
  );
}

/** Enforcement points that do not enforce what they should, with the reason. */
export function StalePoints(props: { answer: Answer<Page<EnforcementPoint>> }): ReactNode {
  const { answer } = props;
  const points = sortPoints(answer.data?.items ?? []).filter(
    (point) => pointState(point).tone !== 'allowed',
  );
  return (
    <section className="section" aria-labelledby="stale-points">
      <h2 id="stale-points">Enforcement points to look at</h2>
      <AnswerNote answer={answer} rows={2} />
      {answer.data !== undefined && points.length === 0 && (
        <p className="quiet">Each one enforces the newest policy.</p>
      )}
      <ul className="on-call-lines">
        {points.slice(0, MAX_LINES).map((point) => {
          const { tone, word, reason } = pointState(point);
          return (
            <li key={point.node}>
              <StateWord tone={tone}>{word}</StateWord>
              <span>
                <Link to={`/enforcement${patchQuery('', { q: point.node })}`}>{nameOf(point)}</Link>
                {reason !== '' && (
                  <span className="quiet">
                    {' '}
                    <Words text={reason} />
                  </span>
                )}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Identities whose renewal is overdue; without one, which ends first. */
export function LateIdentities({ answer }: { answer: Answer<IdentityPage> }): ReactNode {
  const nowMs = useNow();
  const current = (answer.data?.items ?? [])
    .filter((identity) => identity.current)
    .toSorted((a, b) => a.expiresAt.localeCompare(b.expiresAt));
  const late = current.filter((identity) => renewalOf(identity, nowMs) === 'late');
  const [first] = current;
  return (
    <section className="section" aria-labelledby="late-identities">
      <h2 id="late-identities">Expiring identities</h2>
      <AnswerNote answer={answer} rows={2} />
      {late.length === 0 && first !== undefined && (
        <p className="quiet">
          None is late to renew; the first to end is {shortName(first.spiffeId)},{' '}
          <Moment at={first.expiresAt} />.
        </p>
      )}
      <ul className="on-call-lines">
        {late.slice(0, MAX_LINES).map((identity) => (
          <li key={identity.serial}>
            <StateWord tone="failing">late</StateWord>
            <span>
              <Link to={`/identities${patchQuery('', { q: identity.spiffeId })}`}>
                {shortName(identity.spiffeId)}
              </Link>
              <span className="quiet">
                {' '}
                ends <Moment at={identity.expiresAt} />
              </span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
