import type { ReactNode } from 'react';
import type { Slo } from '../../api/alert.ts';
import type { Page } from '../../api/page.ts';
import { isSettled } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { AnswerNote, Empty } from '../../parts/answer-states.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { StateWord, type Tone } from '../../parts/state-word.tsx';
import { formatShare, formatSpanWord } from '../../words/format.ts';
import { Silences } from './silences.tsx';

/** Fast enough to use a 30-day budget in about two days: the page's threshold in the usual two-window alert. */
const FAST_BURN = 14.4;

const COLUMNS: readonly Column<Slo>[] = [
  {
    head: 'Objective',
    value: (slo) => slo.name,
    cell: (slo) => <strong>{slo.name}</strong>,
    stacked: 'title',
  },
  {
    head: 'State',
    width: '9rem',
    value: (slo) => stateOf(slo).word,
    cell: (slo) => <StateWord tone={stateOf(slo).tone}>{stateOf(slo).word}</StateWord>,
  },
  {
    head: 'Wanted',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.objective,
    cell: (slo) => formatShare(slo.objective),
  },
  {
    head: 'Now',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.sli,
    cell: (slo) => known(slo.sli, formatShare),
  },
  {
    head: 'Budget left',
    width: '6.5rem',
    align: 'end',
    value: (slo) => slo.budget_left_ratio,
    cell: (slo) => known(slo.budget_left_ratio, formatShare),
  },
  {
    head: 'Burn, 1 h',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.burn_1h,
    cell: (slo) => known(slo.burn_1h, formatBurn),
  },
  {
    head: 'Burn, 6 h',
    width: '6rem',
    align: 'end',
    value: (slo) => slo.burn_6h,
    cell: (slo) => known(slo.burn_6h, formatBurn),
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

/** How fast each objective's error budget is being used; then, once that stands, what is silenced. */
export function BurnRates(): ReactNode {
  const answer = useAnswer<Page<Slo>>('/slos', { topics: ['alerts'] });
  const slos = (answer.data?.items ?? []).toSorted(
    (a, b) => (b.burn_1h ?? 0) - (a.burn_1h ?? 0) || a.name.localeCompare(b.name),
  );
  return (
    <>
      <section className="section" aria-labelledby="burn-rates">
        <h2 id="burn-rates">Burn rates</h2>
        <AnswerNote answer={answer} rows={4} />
        {answer.data !== undefined && slos.length === 0 && (
          <Empty title="No objective is set.">An SLO resource sets one.</Empty>
        )}
        {slos.length > 0 && (
          <DataTable
            label="Burn rates"
            columns={COLUMNS}
            rows={slos}
            keyOf={(slo) => `${slo.namespace ?? ''}/${slo.name}`}
            toneOf={(slo) => (stateOf(slo).tone === 'allowed' ? undefined : stateOf(slo).tone)}
            minWidth="46rem"
          />
        )}
      </section>
      {isSettled(answer) && <Silences />}
    </>
  );
}

/** The state in words; what the numbers say where the word is none we know. */
function stateOf(slo: Slo): { tone: Tone; word: string } {
  const burn = slo.burn_1h ?? 0;
  if (slo.sli === null) return { tone: 'unknown', word: 'not measured' };
  if ((slo.budget_left_ratio ?? 1) <= 0) return { tone: 'denied', word: 'budget spent' };
  if (burn >= FAST_BURN) return { tone: 'denied', word: 'burning fast' };
  if (burn > 1) return { tone: 'failing', word: 'burning' };
  return { tone: 'allowed', word: 'within budget' };
}

function formatBurn(rate: number): string {
  return `${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}×`;
}

function known(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}
