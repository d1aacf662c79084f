import type { ReactNode } from 'react';
import type { PolicyHit, ResourceEntry } from '../../api/policy-set.ts';
import { Moment } from '../../parts/moment.tsx';
import { SourceView } from '../../parts/source-view.tsx';
import { formatNoun } from '../../words/format.ts';
import { ruleLines } from './rule-lines.ts';

type ResourceSourceProps = { entry: ResourceEntry; hits: readonly PolicyHit[] | undefined };

/** A resource as its author wrote it, with each rule's hits in the margin. */
export function ResourceSource({ entry, hits }: ResourceSourceProps): ReactNode {
  const text = entry.source ?? JSON.stringify(entry.resource, null, 2);
  return (
    <section className="resource" aria-labelledby="resource-title">
      <div className="resource-head">
        <h2 id="resource-title">
          {entry.kind} {entry.name}
        </h2>
        <p className="quiet">
          changed in version {entry.number} by {entry.author}, <Moment at={entry.time} />
          {entry.source === null && '; its author’s text is not kept, so this is the signed JSON'}
        </p>
      </div>
      <SourceView
        text={text}
        label={`Source of ${entry.kind} ${entry.name}`}
        margin={marginOf(entry, hits)}
      />
    </section>
  );
}

function marginOf(
  entry: ResourceEntry,
  hits: readonly PolicyHit[] | undefined,
): ReadonlyMap<number, ReactNode> {
  const margin = new Map<number, ReactNode>();
  if (hits === undefined || entry.source === null || entry.kind !== 'AuthorizationPolicy') {
    return margin;
  }
  const own = hits.filter((hit) => hit.policy === `${entry.namespace}/${entry.name}`);
  for (const [rule, line] of ruleLines(entry.source).entries()) {
    const count = own
      .filter((hit) => Number(hit.rule) === rule)
      .reduce((sum, hit) => sum + hit.count, 0);
    margin.set(line, count === 0 ? 'no call in 24 h' : `${formatNoun(count, 'call')} in 24 h`);
  }
  return margin;
}
