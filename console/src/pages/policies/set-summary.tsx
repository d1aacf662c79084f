import type { ReactNode } from 'react';
import type { PolicySetSummary } from '../../api/policy-set.ts';
import { Facts } from '../../parts/facts.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { patchQuery } from '../../route/query.ts';

/** The head of a namespace's policy set: version, author, signatures, expiry, enforced on n of m. */
export function SetSummary({ set }: { set: PolicySetSummary }): ReactNode {
  const { wanted, enforced } = set.enforcement;
  const words = `${enforced} of ${wanted}`;
  return (
    <section className="set" aria-labelledby="set-title">
      <h2 id="set-title">
        {set.namespace}, version {set.number}
      </h2>
      <Facts
        lines={[
          ['Author', set.author],
          [
            'Signed by',
            set.signers.map((signer) => signer.name ?? signer.keyId.slice(0, 12)).join(', '),
          ],
          ['Committed', <Moment key="time" at={set.time} />],
          [
            'Expires',
            set.expired ? (
              <StateWord key="expires" tone="stale">
                <Moment at={set.expires} />
              </StateWord>
            ) : (
              <Moment key="expires" at={set.expires} />
            ),
          ],
          [
            'Enforced on',
            <Link key="enforced" to={`/enforcement${patchQuery('', { q: set.namespace })}`}>
              <StateWord tone={enforced < wanted ? 'stale' : 'allowed'}>{words}</StateWord>
            </Link>,
          ],
          [
            'Hash',
            <code key="hash" title={set.hash}>
              {set.hash.slice(0, 12)}
            </code>,
          ],
        ]}
      />
    </section>
  );
}
