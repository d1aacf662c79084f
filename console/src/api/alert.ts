/** One proof of an alert: a sentence, and where in the console it can be looked at. */
export type AlertEvidence = { readonly text: string; readonly link?: string | null };

/** `GET /alerts`: something that wants a person, now (`page`) or soon (`ticket`). */
export type Alert = {
  readonly id: string;
  readonly name: string;
  readonly severity: 'page' | 'ticket';
  readonly state: 'pending' | 'firing' | 'resolved';
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

/** `GET /silences`: alerts that someone answers for until an instant. */
export type Silence = {
  readonly id: string;
  /** One alert, all of a name, or those with all of the labels; everything named has to fit. */
  readonly match: {
    readonly id?: string;
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly owner: string;
  readonly reason: string;
  readonly created_at: string;
  readonly ends_at: string;
};

/** `GET /slos`: an objective, and how fast its error budget is being used. */
export type Slo = {
  readonly name: string;
  /** What it is of: a namespace or one service of it; null for the mesh. */
  readonly namespace: string | null;
  readonly service: string | null;
  /** What is counted as good, in words. */
  readonly good_is: string;
  /** As its author wrote it, e.g. `99.9%`. */
  readonly objective: string;
  /** As the CLI writes spans, e.g. `30d`. */
  readonly window: string;
  /** For what takes time: until when it counts as good. */
  readonly threshold: string | null;
  readonly good: number;
  readonly total: number;
  readonly budget_left_ratio: number;
  /** 1 uses the whole budget in exactly the window. */
  readonly burn_1h: number;
  readonly burn_6h: number;
  readonly state: 'ok' | 'burning' | 'exhausted' | 'no_data';
};
