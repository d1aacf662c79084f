/** One proof of an alert: a sentence, and where in the console it can be looked at. */
export type AlertEvidence = { readonly text: string; readonly link?: string | null };

/** `GET /alerts`: something that wants a person, now (`page`) or soon (`ticket`). */
export type Alert = {
  readonly id: string;
  readonly name: string;
  readonly severity: 'page' | 'ticket';
  readonly state: 'firing' | 'resolved';
  readonly starts_at: string;
  readonly ends_at?: string | null;
  readonly summary: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly evidence?: readonly AlertEvidence[];
  readonly likely_cause?: string | null;
  /** Path in the repository, `docs/runbooks/NAME.md`. */
  readonly runbook?: string | null;
  /** The safe command to begin with. */
  readonly command?: string | null;
  /** Who silenced it; absent or null while nobody did. */
  readonly silenced_by?: string | null;
  /** The alert or the rollout that makes this one expected. */
  readonly inhibited_by?: string | null;
};

/** `GET /silences`: alerts that someone took responsibility for until an instant. */
export type Silence = {
  readonly id: string;
  readonly alert?: string | null;
  readonly matchers?: Readonly<Record<string, string>>;
  readonly owner: string;
  readonly reason?: string | null;
  readonly starts_at?: string | null;
  readonly ends_at: string;
};

/** `GET /slos`: an objective, and how fast its error budget is being used. */
export type Slo = {
  readonly name: string;
  readonly namespace?: string | null;
  /** A share of one, e.g. 0.999. */
  readonly objective: number;
  /** As the CLI writes spans, e.g. `30d`. */
  readonly window: string;
  /** What is true now, a share of one; null where nothing was measured yet. */
  readonly sli: number | null;
  readonly budget_left_ratio: number | null;
  /** 1 uses the whole budget in exactly the window. */
  readonly burn_1h: number | null;
  readonly burn_6h: number | null;
  readonly state: string;
};
