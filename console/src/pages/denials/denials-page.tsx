import { type ReactNode, useState } from 'react';
import type { DenialGroup } from '../../api/denial.ts';
import type { Page } from '../../api/page.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { ChoiceField } from '../../parts/choice-field.tsx';
import { PageHead } from '../../parts/page-head.tsx';
import { SearchBox } from '../../parts/search-box.tsx';
import { apiPath } from '../../route/query.ts';
import { useQuery } from '../../route/use-place.ts';
import { commandLine } from '../../words/command.ts';
import type { ExportColumn } from '../../words/export.ts';
import { formatCount, formatNoun, formatSpanWord } from '../../words/format.ts';
import { plainName } from '../../words/names.ts';
import { DenialGroupItem } from './denial-group.tsx';
import { groupsTo, matchGroups } from './group-order.ts';
import { useSteadyGroups } from './use-steady-groups.ts';

const SPANS = ['1h', '24h', '7d'] as const;

const COLUMNS: readonly ExportColumn<DenialGroup>[] = [
  { head: 'source', value: (group) => group.source },
  { head: 'source_id', value: (group) => group.sourceId },
  { head: 'destination', value: (group) => group.destination },
  { head: 'namespace', value: (group) => group.namespace },
  { head: 'policy', value: (group) => group.policy },
  { head: 'rule', value: (group) => group.rule },
  { head: 'reason', value: (group) => group.reason },
  { head: 'count', value: (group) => group.count },
  { head: 'first', value: (group) => group.first },
  { head: 'last', value: (group) => group.last },
  { head: 'sentence', value: (group) => group.sentence },
  { head: 'sample', value: (group) => group.sample.denialId },
];

/** Who was stopped, and should they have been? */
export function DenialsPage(): ReactNode {
  const [query, setQuery] = useQuery();
  const since = SPANS.find((span) => span === query.get('since')) ?? '24h';
  const path = apiPath('/denials', { since, limit: '200' });
  const answer = useAnswer<Page<DenialGroup>>(path, { topics: ['denials', 'policy'] });
  const search = query.get('q') ?? '';
  const to = query.get('to') ?? '';
  const [pointed, setPointed] = useState(false);
  const steady = useSteadyGroups(answer.data?.items ?? [], pointed);
  const groups = matchGroups(groupsTo(steady, to), search);
  // What is open is in the address; without a word about it, the worst is.
  const opened = query.get('group') ?? groups[0]?.id;
  return (
    <div className="page">
      <PageHead
        title="Denials"
        sentence={answer.data && denialsSentence(answer.data, since)}
        answer={answer}
        command={denialsCommand(to, since)}
        exported={{ name: 'palisade-denials', columns: COLUMNS, rows: groups }}
      />
      <div className="toolbar">
        <SearchBox
          label="Search denials"
          placeholder="Caller, service or policy"
          value={search}
          onChange={(q) => setQuery({ q })}
        />
        <ChoiceField
          label="Time"
          value={since}
          choices={SPANS.map((span) => [span, `the last ${formatSpanWord(span)}`])}
          onChange={(span) => setQuery({ since: span })}
        />
        {to !== '' && (
          <button type="button" className="button" onClick={() => setQuery({ to: undefined })}>
            Show all, not only calls to {to}
          </button>
        )}
      </div>
      <AnswerNote answer={answer} />
      {answer.data !== undefined && groups.length === 0 && (
        <Empty title={search === '' && to === '' ? 'Nobody was stopped.' : 'No denial fits.'}>
          {search === '' && to === ''
            ? `No call was denied in the last ${formatSpanWord(since)}.`
            : `Other denials are there: search for less, or show all.`}
        </Empty>
      )}
      <CutNote page={answer.data} />
      <ul
        className="denials"
        aria-label="Denials by caller, service and rule"
        onPointerEnter={() => setPointed(true)}
        onPointerLeave={() => setPointed(false)}
      >
        {groups.map((group) => (
          <DenialGroupItem
            key={group.id}
            group={group}
            since={since}
            isOpen={group.id === opened}
            onToggle={(id) => setQuery({ group: id })}
          />
        ))}
      </ul>
    </div>
  );
}

function denialsCommand(to: string, since: string): string {
  return commandLine(
    ['log'],
    [
      ['denied', true],
      ['to', to],
      ['since', since],
    ],
  );
}

function CutNote({ page }: { page: Page<DenialGroup> | undefined }): ReactNode {
  if (page === undefined || page.next === null) return null;
  return (
    <p className="quiet">
      These are {formatCount(page.items.length)} kinds of denial, and there are more. A shorter time
      may hold them all.
    </p>
  );
}

function denialsSentence({ items: groups, next }: Page<DenialGroup>, since: string): string {
  const calls = groups.reduce((sum, group) => sum + group.count, 0);
  if (calls === 0) return `No call was denied in the last ${formatSpanWord(since)}.`;
  const callers = new Set(groups.map((group) => group.sourceId ?? group.source));
  const services = new Set(groups.map((group) => `${group.namespace}/${group.destination}`));
  const [first] = groups;
  const caller =
    callers.size === 1 && first !== undefined
      ? plainName(first.source, first.sourceId)
      : formatNoun(callers.size, 'caller');
  const verb = callers.size === 1 ? 'was' : 'were';
  // Of what is not shown nothing is counted.
  const atLeast = next === null ? '' : 'At least ';
  return `${atLeast}${caller} ${verb} stopped ${formatNoun(calls, 'time')} at ${formatNoun(services.size, 'service')} in the last ${formatSpanWord(since)}.`;
}
