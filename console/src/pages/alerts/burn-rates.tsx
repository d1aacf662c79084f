import type { ReactNode } from 'react';
import type { Slo } from '../../api/alert.ts';
import type { Page } from '../../api/page.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { formatShare, formatSpanWord } from '../../words/format.ts';

const COLUMNS: readonly Column<Slo>[] = [
  {
    head: 'Objective',
    value: (slo) => slo.name,
    cell: (slo) => (
      <span className="identity">
        <strong>{slo.name}</strong>
        <span className="quiet">
          {scopeOf(slo)}: {slo.good_is}
        </span>
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'State',
    width: '9rem',
    value: (slo) => STATES[slo.state].word,
    cell: (slo) => <StateWord tone={STATES[slo.state].tone}>{STATES[slo.state].word}</StateWord>,
  },
  {
    head: 'Wanted',
    width: '8rem',
    align: 'end',
    value: (slo) => slo.objective,
    cell: (slo) =>
      slo.threshold === null
        ? spaced(slo.objective)
        : `${spaced(slo.objective)} in ${spaced(slo.threshold)}`,
  },
  {
    head: 'Good so far',
    width: '7rem',
    align: 'end',
    value: (slo) => shareOf(slo),
    cell: (slo) => known(slo, formatShare(shareOf(slo))),
  },
  {
    head: 'Budget left',
    width: '6.5rem',
    align: 'end',
    value: (slo) => slo.budget_left_ratio,
    cell: (slo) =>
      known(slo, slo.budget_left_ratio <= 0 ? 'none' : formatShare(slo.budget_left_ratio)),
  },
  {
    head: 'Burn, 1 h',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.burn_1h,
    cell: (slo) => known(slo, formatBurn(slo.burn_1h)),
  },
  {
    head: 'Burn, 6 h',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.burn_6h,
    cell: (slo) => known(slo, formatBurn(slo.burn_6h)),
  },
  {
    head: 'Window',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.window,
    cell: (slo) => formatSpanWord(slo.window),
    stacked: 'omit',
  },
];

/** How fast each objective's error budget is being used. */
export function BurnRates({ answer }: { answer: Answer<Page<Slo>> }): ReactNode {
  const slos = (answer.data?.items ?? []).toSorted(
    (a, b) => b.burn_1h - a.burn_1h || a.name.localeCompare(b.name),
  );
  return (
    <section className="section" aria-labelledby="burn-rates">
      <h2 id="burn-rates">Burn rates</h2>
      <AnswerNote answer={answer} rows={4} />
      {answer.data !== undefined && slos.length === 0 && (
        <Empty title="No objective is set.">An SLO resource sets one.</Empty>
      )}
      {slos.length > 0 && (
        <p className="quiet">
          A budget is for the whole window, and minutes before the mesh began count as good: a young
          mesh may be below what is wanted and within its budget.
        </p>
      )}
      {slos.length > 0 && (
        <DataTable
          label="Burn rates"
          columns={COLUMNS}
          rows={slos}
          keyOf={(slo) => `${slo.namespace ?? ''}/${slo.name}`}
          toneOf={(slo) =>
            slo.state === 'burning' || slo.state === 'exhausted'
              ? STATES[slo.state].tone
              : undefined
          }
          minWidth="54rem"
        />
      )}
    </section>
  );
}

const STATES: Readonly<Record<Slo['state'], { tone: Tone; word: string }>> = {
  ok: { tone: 'allowed', word: 'within budget' },
  burning: { tone: 'denied', word: 'burning' },
  exhausted: { tone: 'failing', word: 'budget spent' },
  no_data: { tone: 'unknown', word: 'not measured' },
};

function scopeOf({ namespace, service }: Slo): string {
  if (namespace === null) return 'mesh';
  return service === null ? namespace : `${namespace}/${service}`;
}

function shareOf(slo: Slo): number {
  return slo.total === 0 ? 1 : slo.good / slo.total;
}

/** `95%` and `50ms` as all other numbers of the console stand, with a space before the unit. */
function spaced(text: string): string {
  return text.replace(/(\d)(?=[a-z%]+$)/, '$1 ');
}

function formatBurn(rate: number): string {
  return `${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}×`;
}

/** Of what was never measured there is no number to show. */
function known(slo: Slo, words: string): string {
  return slo.state === 'no_data' ? '–' : words;
}
