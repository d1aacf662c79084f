// The names of all metrics and of all log events, in one place so that docs and dashboards can be held to them.

/** Metric names; Istio's where Istio has one, so that its dashboards work. */
export const METRIC = {
  requests: 'istio_requests_total',
  requestDuration: 'istio_request_duration_milliseconds',
  requestBytes: 'istio_request_bytes',
  responseBytes: 'istio_response_bytes',
  tcpOpened: 'istio_tcp_connections_opened_total',
  tcpClosed: 'istio_tcp_connections_closed_total',
  tcpSent: 'istio_tcp_sent_bytes_total',
  tcpReceived: 'istio_tcp_received_bytes_total',
  decisions: 'palisade_decisions_total',
  handshakes: 'palisade_handshakes_total',
  refused: 'palisade_refused_total',
  connections: 'palisade_connections',
  certificateExpiry: 'palisade_certificate_expiry_seconds',
  policyVersion: 'palisade_policy_version',
  policyStaleness: 'palisade_policy_staleness_seconds',
  policyRefusals: 'palisade_policy_refusals_total',
  records: 'palisade_records_total',
  recordsDropped: 'palisade_records_dropped_total',
  recordsUnacked: 'palisade_records_unacked',
  edgeOverflow: 'palisade_metric_edges_overflowed_total',
} as const;

/** Log events: constant messages; what varies goes into fields. */
export const EVENT = {
  started: 'started',
  stopping: 'stopping',
  listening: 'listening',
  failed: 'failed',
  suppressed: 'more of the same were left out',
  // Certificate authority.
  certificateIssued: 'certificate issued',
  certificateRefused: 'certificate refused',
  issuanceLogFailed: 'issuance log could not be written, so nothing was issued',
  authorityRenewed: 'authority renewed its own certificate',
  connectionRefused: 'connection refused',
  // Agent.
  agentEnrolled: 'agent enrolled at the certificate authority',
  agentEnrolFailed: 'agent could not enrol and will try again',
  agentRenewed: 'agent renewed its identity',
  agentRenewFailed: 'agent could not renew its identity and will try again',
  introduced: 'process introduced as a service',
  introductionRefused: 'introduction refused',
  attestationFailed: 'caller could not be attested',
  workloadDenied: 'workload has no registration',
  svidIssued: 'identity issued to a workload',
  svidIssueFailed: 'identity could not be issued and will be asked for again',
  relayRefused: 'relayed stream refused',
  // Enforcement point.
  configurationConnected: 'configuration stream connected',
  configurationLost: 'configuration stream lost',
  policyEnforced: 'policy version enforced',
  policyRefused: 'policy version refused, what was enforced stays',
  policyLoaded: 'policy loaded from disk',
  policyOnDiskRefused: 'policy on disk refused',
  lookupRefused: 'lookup answer refused',
  trustRootPinned: 'trust root pinned',
  trustRootSucceeded: 'trust root replaced by its successor',
  trustRootRefused: 'trust root update refused',
  identityReceived: 'identity received',
  identityLost: 'identity stream lost',
  stateWriteFailed: 'state could not be written to disk',
  // Records.
  recordsDropped: 'access records dropped',
  spoolWriteFailed: 'access records could not be written to disk',
  shippingLost: 'record shipping interrupted',
} as const;

/** Any event a log line may carry. */
export type EventName = (typeof EVENT)[keyof typeof EVENT];
