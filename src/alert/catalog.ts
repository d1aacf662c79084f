/** `page`: somebody looks now; `ticket`: somebody looks this week. */
export type Severity = 'page' | 'ticket';

/** What is known of an alert before it happens; its runbook is docs/runbooks/NAME.md. */
export type AlertKind = {
  readonly severity: Severity;
  /** How long it must hold before it fires, ms. */
  readonly forMs: number;
  readonly title: string;
  readonly likelyCause: string;
};

/** The name of an alert. */
export type AlertName = keyof typeof ALERTS;

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** Every alert there is. A test holds the runbooks, the Prometheus rules and the rehearsals to this table. */
export const ALERTS = {
  'policy-refused': {
    severity: 'page',
    forMs: 0,
    title: 'an enforcement point refuses a policy version',
    likelyCause:
      'the version was not signed as the trust root asks, was changed on its way, or the enforcement point is older than the policy',
  },
  'enforcement-point-stale': {
    severity: 'page',
    forMs: 2 * MINUTE_MS,
    title: 'an enforcement point is connected and does not enforce the newest policy',
    likelyCause: 'the proxy or its agent is overloaded, or something withholds news from it',
  },
  'enforcement-point-lost': {
    severity: 'ticket',
    forMs: 2 * MINUTE_MS,
    title: 'an enforcement point went away without a goodbye',
    likelyCause: 'its process or host ended, or the network between it and the control plane did',
  },
  'enforcement-point-not-ready': {
    severity: 'ticket',
    forMs: 2 * MINUTE_MS,
    title: 'an enforcement point is connected and not ready',
    likelyCause: 'it has no identity, or a policy set that it needs has not come',
  },
  'endpoint-unhealthy': {
    severity: 'ticket',
    forMs: 5 * MINUTE_MS,
    title: 'a caller leaves an endpoint alone',
    likelyCause: 'the application behind that endpoint fails or does not answer',
  },
  'revocation-behind': {
    severity: 'page',
    forMs: 30 * SECOND_MS,
    title: 'an enforcement point does not enforce every revocation',
    likelyCause: 'the stream of revocations to it is held up, or it refused an entry',
  },
  'sidecar-bypassed': {
    severity: 'ticket',
    forMs: 30 * SECOND_MS,
    title: 'an application can be reached around its sidecar',
    likelyCause: 'the application listens on all addresses instead of 127.0.0.1',
  },
  'certificate-expiring': {
    severity: 'page',
    forMs: 0,
    title: 'a certificate in use was not renewed',
    likelyCause:
      'the certificate authority cannot be reached, or no registration allows it any more',
  },
  'control-certificate-expiring': {
    severity: 'page',
    forMs: 0,
    title: "the control plane's own certificate was not renewed",
    likelyCause: 'the certificate authority cannot be reached from the control plane',
  },
  'authority-expiring': {
    severity: 'ticket',
    forMs: 0,
    title: 'a root, an issuer or a key of the authority expires',
    likelyCause: 'nobody rotated the certificate authority in time',
  },
  'foreign-bundle-expiring': {
    severity: 'ticket',
    forMs: MINUTE_MS,
    title: 'the bundle of a foreign trust domain ends, or cannot be refreshed',
    likelyCause:
      'its operator has not published the next root, or its bundle endpoint cannot be reached from here',
  },
  'authority-unreachable': {
    severity: 'ticket',
    forMs: MINUTE_MS,
    title: "the certificate authority's log cannot be read",
    likelyCause: 'the authority is down, or the network to it is',
  },
  'issuance-log-broken': {
    severity: 'page',
    forMs: 0,
    title: "the certificate authority's log contradicts itself",
    likelyCause: 'somebody changed the log, or the authority was restored from an older copy',
  },
  'policy-set-broken': {
    severity: 'page',
    forMs: 0,
    title: 'a stored policy set does not verify',
    likelyCause: "somebody changed the control plane's database, or its disk did",
  },
  'policy-expiring': {
    severity: 'ticket',
    forMs: 0,
    title: 'a signed policy set expires soon',
    likelyCause:
      'nobody has signed it anew; `palisade up` does so by itself, other installations do not',
  },
  'policy-expired': {
    severity: 'page',
    forMs: 0,
    title: 'a signed policy set has expired',
    likelyCause: 'nobody signed it anew; proxies that restart will not load it, and deny',
  },
  'plaintext-allowed': {
    severity: 'ticket',
    forMs: 0,
    title: 'calls pass in plaintext',
    likelyCause: 'a PeerAuthentication is PERMISSIVE or DISABLE, and a caller has no sidecar',
  },
  'denial-burst': {
    severity: 'page',
    forMs: 0,
    title: 'policy denies many calls of one caller',
    likelyCause: 'a new version of the caller, a rule that is too narrow, or somebody trying doors',
  },
  'telemetry-gap': {
    severity: 'ticket',
    forMs: MINUTE_MS,
    title: 'records are missing and nobody says why',
    likelyCause: 'a spool was lost with its host, or somebody removed records on their way',
  },
  'records-not-stored': {
    severity: 'page',
    forMs: 0,
    title: 'the control plane cannot store records',
    likelyCause: 'its disk is full or read-only',
  },
  'sink-failing': {
    severity: 'ticket',
    forMs: 2 * MINUTE_MS,
    title: 'records do not reach a sink',
    likelyCause: 'the sink is down, refuses what is sent, or does not know our credentials',
  },
  'audit-broken': {
    severity: 'page',
    forMs: 0,
    title: 'an audit log does not verify',
    likelyCause: 'somebody changed, cut or replaced the log, or its disk did',
  },
  'authentication-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'peers fail to prove who they are',
    likelyCause:
      'expired or revoked certificates, a bundle that misses a root, or strangers at the port',
  },
  'handshake-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'TLS handshakes fail',
    likelyCause: 'peers without TLS 1.3, a port that is scanned, or a host without CPU to spare',
  },
  'decision-latency-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'decisions take too long',
    likelyCause: 'a host without CPU to spare, or an external authorizer in a CUSTOM policy',
  },
  'policy-propagation-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'new policy takes too long to be enforced',
    likelyCause: 'overloaded agents, many changes at once, or streams that break and begin again',
  },
  'telemetry-completeness-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'too many records are missing',
    likelyCause: 'spools run over while the control plane is away, or hosts vanish with theirs',
  },
  'certificate-horizon-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'certificates are renewed too late',
    likelyCause: 'the certificate authority was away for longer than half a certificate lives',
  },
  'denial-rate-budget-burn': {
    severity: 'ticket',
    forMs: 0,
    title: 'policy denies more calls than the objective allows',
    likelyCause: 'callers that were never given a rule, or a rule that was taken away',
  },
  'control-availability-budget-burn': {
    severity: 'page',
    forMs: 0,
    title: 'the control plane fails its requests',
    likelyCause: 'its disk is full, the authority is away, or it crashed',
  },
  'control-latency-budget-burn': {
    severity: 'ticket',
    forMs: 0,
    title: 'the API answers slowly',
    likelyCause: 'a host without CPU to spare, or questions over very many records',
  },
} as const satisfies Readonly<Record<string, AlertKind>>;

/** The names of all alerts. */
export const ALERT_NAMES: readonly AlertName[] = Object.keys(ALERTS) as AlertName[];

/** Where an alert's runbook stands in the repository. */
export function runbookOf(name: AlertName): string {
  return `docs/runbooks/${name}.md`;
}
