import { type ReactNode, useMemo } from 'react';
import type { Page } from '../../api/page.ts';
import type {
  PolicyFinding,
  PolicyHit,
  PolicySetSummary,
  ResourceEntry,
} from '../../api/policy-set.ts';
import { type Answer, isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { MoreNote } from '../../parts/more-note.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { ViewTabs } from '../../parts/view-tabs.tsx';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import type { ExportColumn } from '../../words/export.ts';
import { formatNoun } from '../../words/format.ts';
import { AskView } from './ask-view.tsx';
import { CommitHistory } from './commit-history.tsx';
import { CompareView } from './compare-view.tsx';
import { DryRunView } from './dry-run-view.tsx';
import { ResourceList } from './resource-list.tsx';
import { ResourceSource } from './resource-source.tsx';
import { SetSummary } from './set-summary.tsx';
import { TestsView } from './tests-view.tsx';

const COLUMNS: readonly ExportColumn<ResourceEntry>[] = [
  { head: 'namespace', value: (entry) => entry.namespace },
  { head: 'kind', value: (entry) => entry.kind },
  { head: 'name', value: (entry) => entry.name },
  { head: 'version', value: (entry) => entry.number },
  { head: 'author', value: (entry) => entry.author },
  { head: 'time', value: (entry) => entry.time },
];

const VIEWS = [
  { view: '', title: 'In force' },
  { view: 'compare', title: 'Compare' },
  { view: 'ask', title: 'Ask' },
  { view: 'dry-run', title: 'Dry-run' },
  { view: 'tests', title: 'Tests' },
] as const;

/** What is in force, who says so, and what it would do? */
export function PoliciesPage(): ReactNode {
  const [query] = useQuery();
  const view = query.get('view') ?? '';
  const sets = useAnswer<Page<PolicySetSummary>>('/policy-sets?limit=200', {
    topics: ['policy', 'enforcement'],
  });
  const resources = useAnswer<Page<ResourceEntry>>('/resources?limit=1000', { topics: ['policy'] });
  const search = query.get('q') ?? '';
  const entries = useMemo(
    () => matchEntries(resources.data?.items ?? [], search),
    [resources.data, search],
  );
  const chosen = chosenEntry(entries, query);
  return (
    <div className="page">
      <PageHead
        title="Policies"
        sentence={
          sets.data && resources.data && policiesSentence(sets.data.items, resources.data.items)
        }
        answer={sets.data === undefined ? sets : resources}
        command={commandOf(view, query, chosen)}
        {...(view === ''
          ? { exported: { name: 'palisade-policies', columns: COLUMNS, rows: entries } }
          : {})}
      />
      <ViewTabs label="Views of policy" views={VIEWS} />
      {view === 'compare' && <CompareView sets={sets} />}
      {view === 'ask' && <AskView />}
      {view === 'dry-run' && <DryRunView />}
      {view === 'tests' && <TestsView />}
      {view === '' && (
        <InForce resources={resources} entries={entries} chosen={chosen} sets={sets} />
      )}
    </div>
  );
}

/** The resources of a mesh with their sources, hits and history. */
function InForce(props: {
  resources: Answer<Page<ResourceEntry>>;
  entries: readonly ResourceEntry[];
  chosen: ResourceEntry | undefined;
  sets: Answer<Page<PolicySetSummary>>;
}): ReactNode {
  const { resources, entries, chosen, sets } = props;
  const set = sets.data?.items.find((entry) => entry.namespace === chosen?.namespace);
  const [query, setQuery] = useQuery();
  const hits = useAnswer<Page<PolicyHit>>('/hits?since=24h&limit=1000', { topics: ['denials'] });
  // Records are kept for a week at most.
  const allHits = useAnswer<Page<PolicyHit>>('/hits?since=7d&limit=1000', { topics: ['denials'] });
  const findings = useAnswer<Page<PolicyFinding>>(
    chosen && `/policy-sets/${encodeURIComponent(chosen.namespace)}/findings?limit=1000`,
    { topics: ['policy'] },
  );
  const search = query.get('q') ?? '';
  return (
    <>
      <div className="toolbar">
        <SearchBox
          label="Search resources"
          placeholder="Name, kind or text"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
      </div>
      <AnswerNote answer={resources} rows={10} />
      <MoreNote page={resources.data} of="resources" command="palisade get all --all-namespaces" />
      {resources.data !== undefined && entries.length === 0 && (
        <Empty title={search === '' ? 'No policy is in force.' : 'No resource fits.'}>
          Without a policy every call is denied. Begin with <code>palisade init policies</code>.
        </Empty>
      )}
      {chosen !== undefined && [sets, hits, allHits].every(isSettled) && (
        <div className="policies">
          <ResourceList
            entries={entries}
            chosen={chosen}
            hits={hits.data?.items}
            onChoose={(entry) =>
              setQuery({ ns: entry.namespace, resource: entry.key, version: undefined })
            }
          />
          <div className="policies-main">
            {set !== undefined && <SetSummary set={set} />}
            <ResourceSource
              entry={chosen}
              facts={{
                hits: hits.data?.items,
                allHits: allHits.data?.items,
                findings: findings.data?.items,
              }}
            />
            {isSettled(findings) && <CommitHistory namespace={chosen.namespace} />}
          </div>
        </div>
      )}
    </>
  );
}

function chosenEntry(
  entries: readonly ResourceEntry[],
  query: URLSearchParams,
): ResourceEntry | undefined {
  const [namespace, key] = [query.get('ns'), query.get('resource')];
  const exact = entries.find((entry) => entry.namespace === namespace && entry.key === key);
  const isPolicy = (entry: ResourceEntry): boolean => entry.kind === 'AuthorizationPolicy';
  return (
    exact ??
    entries.find((entry) => entry.namespace === namespace) ??
    entries.find(isPolicy) ??
    entries[0]
  );
}

function matchEntries(entries: readonly ResourceEntry[], text: string): readonly ResourceEntry[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return entries;
  return entries.filter((entry) =>
    `${entry.namespace}/${entry.key}\n${entry.source ?? ''}`.toLowerCase().includes(wanted),
  );
}

function policiesSentence(
  sets: readonly PolicySetSummary[],
  resources: readonly ResourceEntry[],
): string {
  const policies = resources.filter((entry) => entry.kind.endsWith('Policy')).length;
  if (sets.length === 0) return 'No policy is in force.';
  const behind = sets.filter((set) => set.enforcement.enforced < set.enforcement.wanted);
  const expired = sets.filter((set) => set.expired);
  const start = `${formatNoun(policies, 'policy', 'policies')} in ${formatNoun(sets.length, 'namespace')}, each signed by its author`;
  const end =
    behind.length === 0
      ? 'all enforced in their newest version'
      : `${behind.map((set) => `${set.namespace} enforced on ${set.enforcement.enforced} of ${set.enforcement.wanted}`).join(', ')}`;
  const late =
    expired.length === 0
      ? ''
      : `, ${formatNoun(expired.length, 'set')} past expiry: ${expired.map((set) => set.namespace).join(', ')}`;
  return `${start}; ${end}${late}.`;
}

function commandOf(view: string, query: URLSearchParams, entry: ResourceEntry | undefined): string {
  if (view === 'ask') {
    const asked = ['from', 'to', 'method', 'path'] as const;
    return commandLine(
      ['check'],
      asked.map((name) => [name, query.get(name) ?? (name === 'to' ? 'SERVICE' : '')]),
    );
  }
  if (view === 'dry-run') {
    return commandLine(
      ['status'],
      [
        ['dry-run', true],
        ['since', '24h'],
      ],
    );
  }
  if (view === 'tests') return commandLine(['test', 'policies']);
  if (entry === undefined) return commandLine(['get', 'all'], [['all-namespaces', true]]);
  return commandLine(
    ['get', entry.kind, entry.name],
    [
      ['namespace', entry.namespace],
      ['output', 'yaml'],
    ],
  );
}
