// How each rule of `palisade alerts export` is made to fire in promtool, and what it looks like when all is well.
import { ALERT_NAMES, ALERTS, DEFAULT_SLOS, prometheusName } from '#alert';
import { BURN_ALERTS } from '../../src/alert/detect-burn.ts';

/** Series as promtool writes them (`0+1x10`: from 0, by 1, ten times), and what comes of them at `at`. */
export type Rehearsal = {
  readonly alert: string;
  /** Labels besides the rule's own. */
  readonly labels: Readonly<Record<string, string>>;
  /** Which of the rules of that name fire; undefined: the only one there is. */
  readonly severities?: readonly string[];
  /** As the template expands; undefined: the rule's own text. */
  readonly summary?: string;
  readonly at: string;
  readonly interval?: string;
  readonly cause: Readonly<Record<string, string>>;
  readonly calm: Readonly<Record<string, string>>;
};

const INSTANCE = 'instance="10.0.0.1:15020"';
const REQUESTS =
  'istio_requests_total{reporter="destination",source_principal="web",source_workload="web",destination_service="orders"';

const NATIVE: readonly Rehearsal[] = [
  {
    alert: 'PalisadePolicyRefused',
    labels: { instance: '10.0.0.1:15020', code: 'root_mismatch' },
    summary: '10.0.0.1:15020 refuses a policy version: root_mismatch',
    at: '5m',
    cause: { [`palisade_policy_refusals_total{${INSTANCE},code="root_mismatch"}`]: '0 0 1x10' },
    calm: { [`palisade_policy_refusals_total{${INSTANCE},code="root_mismatch"}`]: '3x10' },
  },
  {
    alert: 'PalisadeEnforcementPointStale',
    labels: { state: 'stale' },
    summary: '2 enforcement points do not enforce the newest policy',
    at: '5m',
    cause: { 'palisade_control_enforcement_points{state="stale"}': '2x10' },
    calm: { 'palisade_control_enforcement_points{state="stale"}': '0 0 0 0 2 2 0' },
  },
  {
    alert: 'PalisadeCertificateExpiring',
    labels: { instance: '10.0.0.1:15020' },
    summary: '10.0.0.1:15020 has a certificate for 4m 0s more',
    at: '1m',
    cause: { [`palisade_certificate_expiry_seconds{${INSTANCE}}`]: '240x5' },
    calm: { [`palisade_certificate_expiry_seconds{${INSTANCE}}`]: '1800x5' },
  },
  {
    alert: 'PalisadeControlCertificateExpiring',
    labels: { kind: 'control' },
    at: '1m',
    cause: { 'palisade_control_expiry_seconds{kind="control"}': '240x5' },
    calm: { 'palisade_control_expiry_seconds{kind="control"}': '1800x5' },
  },
  {
    alert: 'PalisadeAuthorityExpiring',
    labels: { kind: 'root' },
    summary: "the authority's root expires soon, and nothing follows it yet",
    at: '1m',
    cause: { 'palisade_control_expiry_seconds{kind="root"}': '1728000x5' },
    calm: { 'palisade_control_expiry_seconds{kind="root"}': '31536000x5' },
  },
  {
    alert: 'PalisadeAuthorityExpiring',
    labels: { kind: 'jwt_key' },
    summary: "the authority's jwt_key expires soon, and nothing follows it yet",
    at: '2m',
    cause: { 'palisade_control_expiry_due{kind="jwt_key"}': '1x5' },
    calm: { 'palisade_control_expiry_due{kind="jwt_key"}': '0x5' },
  },
  {
    alert: 'PalisadeForeignBundleExpiring',
    labels: { kind: 'foreign_bundle' },
    summary: '2 bundles of foreign trust domains end soon, or cannot be refreshed',
    at: '3m',
    cause: { 'palisade_control_expiry_due{kind="foreign_bundle"}': '2x5' },
    calm: { 'palisade_control_expiry_due{kind="foreign_bundle"}': '0x5' },
  },
  {
    alert: 'PalisadePolicyExpiring',
    labels: { kind: 'policy' },
    summary: 'a policy set expires in 10d 0h 0m 0s',
    at: '1m',
    cause: { 'palisade_control_expiry_seconds{kind="policy"}': '864000x5' },
    calm: { 'palisade_control_expiry_seconds{kind="policy"}': '-60x5' },
  },
  {
    alert: 'PalisadePolicyExpired',
    labels: { kind: 'policy' },
    at: '1m',
    cause: { 'palisade_control_expiry_seconds{kind="policy"}': '-60x5' },
    calm: { 'palisade_control_expiry_seconds{kind="policy"}': '864000x5' },
  },
  {
    alert: 'PalisadePlaintextAllowed',
    labels: { source_workload: 'web', destination_service: 'orders' },
    summary: 'calls to orders pass in plaintext',
    at: '5m',
    cause: { [`${REQUESTS},connection_security_policy="none",palisade_reason="-"}`]: '0+1x10' },
    calm: {
      [`${REQUESTS},connection_security_policy="mutual_tls",palisade_reason="-"}`]: '0+1x10',
      [`${REQUESTS},connection_security_policy="none",palisade_reason="policy_denied"}`]: '0+1x10',
    },
  },
  {
    alert: 'PalisadeDenialBurst',
    labels: { source_principal: 'web', destination_service: 'orders' },
    summary: 'web → orders was denied 50 times in five minutes',
    at: '70m',
    // Ten minutes of ten a minute after an hour of none; and the other way round: ten a minute is the usual.
    cause: { [`${REQUESTS},palisade_reason="policy_denied"}`]: '0x65 10+10x10' },
    calm: { [`${REQUESTS},palisade_reason="policy_denied"}`]: '0+10x80' },
  },
  {
    alert: 'PalisadeRecordsNotStored',
    labels: { outcome: 'failed_write' },
    at: '5m',
    cause: { 'palisade_control_records_total{outcome="failed_write"}': '0 0 0 1x10' },
    calm: { 'palisade_control_records_total{outcome="stored"}': '0+5x10' },
  },
  {
    alert: 'PalisadeControlAbsent',
    labels: {},
    at: '10m',
    cause: { up: '0x20' },
    calm: { 'palisade_slo_events_total{slo="x"}': '0+1x20' },
  },
];

/** What Prometheus takes the control plane's word for. */
const TAKEN: readonly Rehearsal[] = ALERT_NAMES.filter(
  (name) =>
    !Object.values(BURN_ALERTS).includes(name) &&
    NATIVE.every(({ alert }) => alert !== prometheusName(name)),
).map((name) => {
  const { severity } = ALERTS[name];
  const series = (state: string) =>
    `palisade_control_alerts{alert="${name}",severity="${severity}",state="${state}"}`;
  return {
    alert: prometheusName(name),
    labels: { alert: name, state: 'firing' },
    at: '1m',
    cause: { [series('firing')]: '1x5' },
    // Under a silence nobody is called.
    calm: { [series('quiet')]: '1x5' },
  };
});

const BURNS: readonly Rehearsal[] = DEFAULT_SLOS.flatMap((slo) => {
  const of = `slo="${slo.name}",namespace="",service=""`;
  const series = (good: string, total: string, measured: string, bad: string) => ({
    [`palisade_slo_good_total{${of}}`]: good,
    [`palisade_slo_events_total{${of}}`]: total,
    [`palisade_slo_periods_total{${of}}`]: measured,
    [`palisade_slo_bad_periods_total{${of}}`]: bad,
  });
  const alert = prometheusName(BURN_ALERTS[slo.sli]);
  const page: Rehearsal = {
    alert,
    // Prometheus drops labels without a value.
    labels: { slo: slo.name },
    // What is bad so fast is bad for the slower rule too, but where much may be bad it takes hours.
    severities:
      slo.alert === 'ticket' ? ['ticket'] : slo.objective < 0.99 ? ['page'] : ['page', 'ticket'],
    at: '70m',
    interval: '5m',
    cause: series('0x20', '0+300x20', '0+5x20', '0+5x20'),
    calm: series('0+300x20', '0+300x20', '0+5x20', '0x20'),
  };
  if (slo.name === 'decision-latency') {
    // Eight of nine within an hour, and a mesh that is twenty minutes old and has made no good one yet.
    const few = series('0+0.1x20', '0+0.8x20', '0+5x20', '0+0.7x20');
    const young = series('_x10 0x10', '_x10 0+300x10', '_x10 0+5x10', '_x10 0+5x10');
    return [page, { ...page, calm: few }, { ...page, calm: young }];
  }
  if (slo.name !== 'authentication-success') return [page];
  // 0.4 % bad for two days: four times the budget, too slow for a page.
  const ticket: Rehearsal = {
    ...page,
    severities: ['ticket'],
    at: '2d',
    interval: '10m',
    cause: series('0+996x300', '0+1000x300', '0+10x300', '0+2x300'),
    calm: series('0+9999x300', '0+10000x300', '0+10x300', '0+1x300'),
  };
  // Ten minutes ago three hundred were bad within two minutes, and nothing happened since.
  const burst = series('0x20', '0x12 300x8', '0+5x20', '0x12 2x8');
  return [page, ticket, { ...page, calm: burst }];
});

/** A rehearsal of each rule. */
export const REHEARSALS: readonly Rehearsal[] = [...NATIVE, ...TAKEN, ...BURNS];
