/** How one sink, or one kind of evidence on its way to it, is doing. */
type Doing = {
  readonly state: 'ok' | 'retrying' | 'failing' | 'paused';
  readonly lag_records: number;
  readonly lag_seconds: number;
  readonly queue_bytes: number;
  readonly delivered: number;
  readonly dead_lettered: number;
  readonly dropped: number;
  readonly retries: number;
  readonly last_error: string | null;
  readonly last_delivered_at: string | null;
};

/** `GET /sinks`: where evidence is delivered to, and how far behind that is. */
export type Sink = Doing & {
  readonly name: string;
  /** How it is delivered, e.g. `otlp_grpc`. */
  readonly kind: string;
  readonly format: string;
  /** A queue for each kind of evidence, so that one never holds up another. */
  readonly lanes: readonly (Doing & { readonly evidence: string })[];
};

/** `POST /sinks/:name/test`: what the sink answered to one of each kind of evidence. */
export type SinkTest = {
  readonly items: readonly {
    readonly evidence: string;
    readonly delivered: boolean;
    readonly answer: string;
  }[];
};
