// alert: what needs a person. Facts of one moment → conditions → alerts that fire, are silenced, explained and resolved;
// and the error budgets of service level objectives. No I/O and no clock: whoever has them brings both.

export { type AlertBook, createAlertBook, type SavedAlert } from './alert-book.ts';
export type { AlertEvent, AlertPhase } from './alert-event.ts';
export type { SloStatus } from './burn.ts';
export { ALERT_NAMES, ALERTS, type AlertName, runbookOf } from './catalog.ts';
export type { Condition, Evidence } from './condition.ts';
export { createDenialWatch, type DenialWatch } from './denial-watch.ts';
export { detect } from './detect.ts';
export { burningConditions } from './detect-burn.ts';
export { certificateNoticeMs } from './detect-points.ts';
export type {
  AuditLogFact,
  DenialBurst,
  MeshFacts,
  PlaintextFact,
  PointFact,
  SinkFact,
  TelemetryGap,
} from './facts.ts';
export { judgePosture, type Posture, type PostureFacts, type PosturePart } from './posture.ts';
export { type PrometheusRule, type PrometheusRules, prometheusRules } from './prometheus-rules.ts';
export { checkSilence, type Silence, type SilenceMatch, type SilenceRequest } from './silence.ts';
export { SLI_NAMES, SLIS, type SliName } from './sli.ts';
export { builtInSlo, DEFAULT_SLOS, formatObjective, type Scope, type Slo } from './slo.ts';
export { createSloTracker, type SavedBudgets, type SloTracker } from './slo-tracker.ts';
export {
  type AlertmanagerWebhook,
  alertmanagerWebhooks,
  prometheusName,
} from './webhook.ts';
