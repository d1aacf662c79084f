// ext-authz: clients of external authorizers, by Envoy's ext_authz over gRPC and over HTTP.
export { createConsult } from './consult.ts';
