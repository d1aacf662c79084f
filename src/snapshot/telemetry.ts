import type { PathTemplate } from '#lib';

/** What a sidecar records, and what it takes out besides what is recognized by itself. */
export type TelemetryRules = {
  /** Records a second that need not be kept; undefined for the default. */
  readonly recordsPerSecond: number | undefined;
  /** How long after a change of policy what it decides is kept; undefined for the default. */
  readonly rolloutMs: number | undefined;
  /** Request headers to record, lower case; never one that holds secrets. */
  readonly headers: readonly string[];
  /** Segments to take out of paths; the first template that matches counts. */
  readonly paths: readonly PathTemplate[];
  /** Kinds that leave a keyed hash behind. */
  readonly hashed: readonly string[];
};

/** Where no TelemetryPolicy says anything. */
export const DEFAULT_TELEMETRY: TelemetryRules = {
  recordsPerSecond: undefined,
  rolloutMs: undefined,
  headers: [],
  paths: [],
  hashed: [],
};
