import {
  BURN_RULES,
  burnThreshold,
  MIN_BAD,
  MIN_BAD_MINUTES,
  MIN_EVENTS_A_MINUTE,
} from './burn.ts';
import { ALERT_NAMES, ALERTS, type AlertName, runbookOf, type Severity } from './catalog.ts';
import { BURN_ALERTS } from './detect-burn.ts';
import type { Slo } from './slo.ts';
import { prometheusName } from './webhook.ts';

/** A file of rules as Prometheus reads it. */
export type PrometheusRules = { readonly groups: readonly PrometheusGroup[] };

/** Rules that are evaluated together. */
export type PrometheusGroup = { readonly name: string; readonly rules: readonly PrometheusRule[] };

/** One alerting rule. */
export type PrometheusRule = {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

type Native = { readonly expr: string; readonly summary: string };

const MINUTE_MS = 60_000;

/**
 * What Prometheus can see by itself, so that it calls somebody even where the control plane cannot. Of the rest it
 * knows what the control plane says of it. Durations of `forMs` are the catalog's.
 */
const NATIVE: Partial<Readonly<Record<AlertName, Native>>> = {
  'policy-refused': {
    expr: 'increase(palisade_policy_refusals_total[10m]) > 0',
    summary: '{{ $labels.instance }} refuses a policy version: {{ $labels.code }}',
  },
  'enforcement-point-stale': {
    expr: 'palisade_control_enforcement_points{state="stale"} > 0',
    summary: '{{ $value }} enforcement points do not enforce the newest policy',
  },
  'certificate-expiring': {
    expr: 'palisade_certificate_expiry_seconds < 300',
    summary: '{{ $labels.instance }} has a certificate for {{ $value | humanizeDuration }} more',
  },
  'control-certificate-expiring': {
    expr: 'palisade_control_expiry_seconds{kind="control"} < 300',
    summary: "the control plane's own certificate was not renewed",
  },
  'authority-expiring': {
    expr: 'palisade_control_expiry_seconds{kind="root"} < 30 * 86400 or palisade_control_expiry_due{kind=~"issuer|authority|jwt_key"} > 0',
    summary: "the authority's {{ $labels.kind }} expires soon, and nothing follows it yet",
  },
  'foreign-bundle-expiring': {
    expr: 'palisade_control_expiry_due{kind="foreign_bundle"} > 0',
    summary: '{{ $value }} bundles of foreign trust domains end soon, or cannot be refreshed',
  },
  'policy-expiring': {
    expr: 'palisade_control_expiry_seconds{kind="policy"} < 14 * 86400 > 0',
    summary: 'a policy set expires in {{ $value | humanizeDuration }}',
  },
  'policy-expired': {
    expr: 'palisade_control_expiry_seconds{kind="policy"} <= 0',
    summary: 'a policy set has expired',
  },
  'plaintext-allowed': {
    expr: 'sum by (source_workload, destination_service) (increase(istio_requests_total{reporter="destination",connection_security_policy="none",palisade_reason="-"}[15m])) > 0',
    summary: 'calls to {{ $labels.destination_service }} pass in plaintext',
  },
  'denial-burst': {
    expr: `${denials('[5m]')} >= 20 unless ${denials('[55m] offset 5m')} * 5 / 11 > ${denials('[5m]')}`,
    summary:
      '{{ $labels.source_principal }} → {{ $labels.destination_service }} was denied {{ $value | humanize }} times in five minutes',
  },
  'records-not-stored': {
    expr: 'increase(palisade_control_records_total{outcome="failed_write"}[5m]) > 0',
    summary: 'the control plane cannot store access records',
  },
};

/** The rules for a mesh with these objectives, so that Prometheus and Alertmanager call as `palisade alerts` does. */
export function prometheusRules(slos: readonly Slo[]): PrometheusRules {
  const burning = new Set<AlertName>(Object.values(BURN_ALERTS));
  const plain = ALERT_NAMES.filter((name) => !burning.has(name));
  return {
    groups: [
      { name: 'palisade', rules: [...plain.map(plainRule), absentRule()] },
      {
        name: 'palisade-objectives',
        rules: slos.filter(({ alert }) => alert !== 'none').flatMap(burnRules),
      },
    ],
  };
}

function plainRule(name: AlertName): PrometheusRule {
  const { forMs, severity, title } = ALERTS[name];
  const native = NATIVE[name] ?? {
    expr: `palisade_control_alerts{alert="${name}",state="firing"} > 0`,
    summary: title,
  };
  return {
    alert: prometheusName(name),
    expr: native.expr,
    // What the control plane says has waited already.
    for: NATIVE[name] === undefined ? '0s' : promDuration(forMs),
    labels: { severity },
    annotations: annotationsOf(name, native.summary),
  };
}

/** What nobody who is down can say of himself. */
function absentRule(): PrometheusRule {
  return {
    alert: 'PalisadeControlAbsent',
    expr: 'absent(palisade_slo_events_total)',
    for: '5m',
    labels: { severity: 'page' },
    annotations: annotationsOf(
      'control-availability-budget-burn',
      'the control plane is not there to be scraped',
    ),
  };
}

function burnRules(slo: Slo): readonly PrometheusRule[] {
  const name = BURN_ALERTS[slo.sli];
  const of = `slo="${slo.name}",namespace="${slo.namespace ?? ''}",service="${slo.service ?? ''}"`;
  const grown = (metric: string, ms: number): string =>
    `increase(palisade_slo_${metric}_total{${of}}[${promDuration(ms)}])`;
  const bad = (ms: number): string => `(${grown('events', ms)} - ${grown('good', ms)})`;
  const fitting = BURN_RULES.filter(({ longMs }) => longMs <= slo.windowMs);
  const bySeverity = Map.groupBy(
    fitting,
    ({ severity }): Severity => (slo.alert === 'ticket' ? 'ticket' : severity),
  );
  return Array.from(bySeverity, ([severity, rules]) => {
    const expr = rules
      .map((rule) => {
        const { longMs, shortMs } = rule;
        const threshold = Math.min(burnThreshold(slo, rule) * (1 - slo.objective), 0.9);
        const limit = Number(threshold.toPrecision(6));
        const minutes = longMs / MINUTE_MS;
        // As in `burnRate`: what was not measured counts as good, and so does what is missing to one a minute.
        const coverage = `clamp_max(${grown('periods', longMs)} / ${minutes}, 1)`;
        const all = `clamp_min(${grown('events', longMs)} / ${coverage}, ${minutes * MIN_EVENTS_A_MINUTE})`;
        const many = `${bad(longMs)} >= ${MIN_BAD} and ${grown('bad_periods', longMs)} >= ${MIN_BAD_MINUTES}`;
        return `(${bad(longMs)} / ${all} >= ${limit} and ${bad(shortMs)} / ${grown('events', shortMs)} >= ${limit} and ${many})`;
      })
      .join(' or ');
    return {
      alert: prometheusName(name),
      expr,
      for: '0s',
      labels: { severity, slo: slo.name },
      annotations: annotationsOf(name, `${slo.name}: ${ALERTS[name].title}`),
    };
  });
}

function annotationsOf(name: AlertName, summary: string): Readonly<Record<string, string>> {
  return { summary, likely_cause: ALERTS[name].likelyCause, runbook: runbookOf(name) };
}

function denials(range: string): string {
  return `sum by (source_principal, destination_service) (increase(istio_requests_total{reporter="destination",palisade_reason="policy_denied"}${range}))`;
}

function promDuration(ms: number): string {
  return ms % MINUTE_MS === 0 && ms > 0 ? `${ms / MINUTE_MS}m` : `${ms / 1_000}s`;
}
