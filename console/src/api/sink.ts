/** `GET /sinks`: where evidence is delivered to, and how far behind that is. */
export type Sink = {
  readonly name: string;
  readonly namespace?: string | null;
  readonly kind: string;
  readonly state: 'ok' | 'retrying' | 'failing' | 'paused';
  readonly lag_records?: number | null;
  readonly lag_seconds?: number | null;
  readonly delivered?: number | null;
  readonly dead_lettered?: number | null;
  readonly dropped?: number | null;
  readonly last_error?: string | null;
  readonly last_delivered_at?: string | null;
};
