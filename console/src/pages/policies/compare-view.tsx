import { type ReactNode, useId } from 'react';
import type { Page } from '../../api/page.ts';
import type { CommitEntry, PolicySetSummary } from '../../api/policy-set.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { useNow } from '../../live/use-now.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Choice, ChoiceField } from '../../parts/choice-field.tsx';
import { useQuery } from '../../route/use-place.ts';
import { formatAgo, formatSpanWord } from '../../words/format.ts';
import { ComparedCalls } from './compared-calls.tsx';
import { ComparedResources } from './compared-resources.tsx';
import { type VersionPair, versionPair } from './compared-versions.ts';

/** More versions than these are not listed; an address may name any. */
const LISTED = 200;
const SPANS = ['15m', '1h', '6h', '24h', '7d'] as const;
const DEFAULT_SPAN = '1h';

/** Which recorded calls two versions of a namespace's policy decide differently, and what differs in their text. */
export function CompareView({ sets }: { sets: Answer<Page<PolicySetSummary>> }): ReactNode {
  const id = useId();
  const [query, setQuery] = useQuery();
  const asked = query.get('ns');
  const known = sets.data?.items ?? [];
  const namespace = asked ?? mostChanged(known)?.namespace;
  const commits = useAnswer<Page<CommitEntry>>(
    namespace && `/policy-sets/${encodeURIComponent(namespace)}/commits?limit=${LISTED}`,
    { topics: ['policy'] },
  );
  const listed = commits.data?.items ?? [];
  const pair = versionPair(query, listed[0]?.number ?? 0);
  const since = SPANS.find((span) => span === query.get('since')) ?? DEFAULT_SPAN;
  return (
    <section aria-labelledby={`${id}-title`} className="view">
      <h2 id={`${id}-title`}>What two versions decide differently</h2>
      <AnswerNote answer={namespace === undefined ? sets : commits} rows={6} />
      {sets.data !== undefined && namespace === undefined && (
        <Empty title="No policy is in force.">There are no versions to compare.</Empty>
      )}
      {namespace !== undefined && commits.data !== undefined && (
        <>
          <div className="toolbar">
            <ChoiceField
              label="Namespace"
              value={namespace}
              choices={withAsked(
                known.map((set) => [set.namespace, set.namespace]),
                namespace,
              )}
              onChange={(ns) => setQuery({ ns, before: undefined, after: undefined })}
            />
            {pair !== undefined && <Versions pair={pair} listed={listed} />}
            {pair !== undefined && (
              <ChoiceField
                label="Calls of"
                value={since}
                choices={SPANS.map((span) => [span, `the last ${formatSpanWord(span)}`])}
                onChange={(span) => setQuery({ since: span === DEFAULT_SPAN ? undefined : span })}
              />
            )}
          </div>
          <Compared namespace={namespace} pair={pair} since={since} newest={listed[0]?.number} />
        </>
      )}
    </section>
  );
}

function Compared(props: {
  namespace: string;
  pair: VersionPair | undefined;
  since: string;
  newest: number | undefined;
}): ReactNode {
  const { namespace, pair, since, newest } = props;
  if (pair === undefined) {
    return newest === undefined ? (
      <Empty title={`There is no policy of ${namespace}.`}>Choose another namespace.</Empty>
    ) : (
      <Empty title={`${namespace} has one version only.`}>
        From its second signed change on, the calls that two versions decide differently stand here.
      </Empty>
    );
  }
  if (pair.before === pair.after) {
    return (
      <Empty title={`Version ${pair.after} decides as it does itself.`}>
        Choose two different versions.
      </Empty>
    );
  }
  const key = `${namespace} ${pair.before} ${pair.after} ${since}`;
  return (
    <ComparedCalls key={key} namespace={namespace} pair={pair} since={since}>
      <ComparedResources namespace={namespace} pair={pair} />
    </ComparedCalls>
  );
}

function Versions(props: { pair: VersionPair; listed: readonly CommitEntry[] }): ReactNode {
  const { pair, listed } = props;
  const [, setQuery] = useQuery();
  const nowMs = useNow();
  const options = listed.map(
    ({ number, author, time }, index) =>
      [
        String(number),
        `${number}, ${author}, ${formatAgo(time, nowMs)}${index === 0 ? ' (newest)' : ''}`,
      ] as const,
  );
  // Both are written down, so that the address means the same after the next change.
  const choose = (chosen: Partial<VersionPair>): void => {
    const { before, after } = { ...pair, ...chosen };
    setQuery({ before: String(before), after: String(after) });
  };
  return (
    <>
      <ChoiceField
        label="From version"
        value={String(pair.before)}
        choices={withAsked(options, String(pair.before))}
        onChange={(before) => choose({ before: Number(before) })}
      />
      <ChoiceField
        label="To version"
        value={String(pair.after)}
        choices={withAsked(options, String(pair.after))}
        onChange={(after) => choose({ after: Number(after) })}
      />
      <button
        type="button"
        className="button"
        onClick={() => choose({ before: pair.after, after: pair.before })}
      >
        Swap
      </button>
    </>
  );
}

/** What the address asks for is among the choices, also where it is none of those listed. */
function withAsked(choices: readonly Choice[], asked: string): readonly Choice[] {
  return choices.some(([value]) => value === asked) ? choices : [...choices, [asked, asked]];
}

/** Where there is most to compare, so that the page does not open on a namespace with a single version. */
function mostChanged(sets: readonly PolicySetSummary[]): PolicySetSummary | undefined {
  return sets.find((set) => set.number > 1) ?? sets[0];
}
