import type { ReactNode } from 'react';
import type { PolicyHit, ResourceEntry } from '../../api/policy-set.ts';
import { formatCount } from '../../words/format.ts';

type ResourceListProps = {
  entries: readonly ResourceEntry[];
  chosen: ResourceEntry;
  hits: readonly PolicyHit[] | undefined;
  onChoose: (entry: ResourceEntry) => void;
};

/** Policies say who may call; the rest says who is who. In this order a reader looks for them. */
const KIND_ORDER = [
  'Mesh',
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
  'Service',
  'Registration',
];

/** The resources by namespace and kind; policies with how often they decided. */
export function ResourceList(props: ResourceListProps): ReactNode {
  const namespaces = Map.groupBy(props.entries, (entry) => entry.namespace);
  return (
    <nav className="resources" aria-label="Resources">
      {[...namespaces].map(([namespace, entries]) => (
        <section key={namespace}>
          <h2>{namespace}</h2>
          {[...Map.groupBy(entries.toSorted(byKind), (entry) => entry.kind)].map(
            ([kind, group]) => (
              <div key={kind}>
                <h3>{kind}</h3>
                <ul>
                  {group.map((entry) => (
                    <li key={entry.key}>
                      <button
                        type="button"
                        aria-current={entry === props.chosen ? 'true' : undefined}
                        onClick={() => props.onChoose(entry)}
                      >
                        <span className="clip" title={entry.name}>
                          {entry.name}
                        </span>
                        {kind === 'AuthorizationPolicy' && <Hits entry={entry} hits={props.hits} />}
                      </button>
                    </li>
                  ))}
                </ul>
              </div>
            ),
          )}
        </section>
      ))}
    </nav>
  );
}

function Hits(props: { entry: ResourceEntry; hits: readonly PolicyHit[] | undefined }): ReactNode {
  if (props.hits === undefined) return null;
  const id = `${props.entry.namespace}/${props.entry.name}`;
  const count = props.hits
    .filter((hit) => hit.policy === id)
    .reduce((sum, hit) => sum + hit.count, 0);
  return (
    <span className="number quiet" title="calls decided in the last 24 h">
      {count === 0 ? 'unused' : formatCount(count)}
    </span>
  );
}

function byKind(a: ResourceEntry, b: ResourceEntry): number {
  const rank = (entry: ResourceEntry): number => {
    const at = KIND_ORDER.indexOf(entry.kind);
    return at < 0 ? KIND_ORDER.length : at;
  };
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}
