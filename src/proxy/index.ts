// proxy: the data plane of one workload. The request path: listen → detect → authenticate → authorize →
// route → forward → record, one file each; every failure's outcome is in respond.ts.
export type { Permit } from './authorize.ts';
export type { Consult, ConsultAnswer, ConsultRequest } from './consult.ts';
export type { EndpointSummary } from './endpoint-groups.ts';
export type { Endpoint, ListenAddress, Proxy, ProxyOptions, UpstreamListener } from './options.ts';
export { createProxy } from './proxy.ts';
export type { Failure, FailureKind } from './respond.ts';
