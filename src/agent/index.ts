// agent: attests local processes and serves them their identities and configuration; and the enforcement point, which
// verifies, compiles and swaps what the agent relays.

export type { TroubledEndpoint } from './acknowledge.ts';
export { type Agent, createAgent } from './agent.ts';
export type { AgentOptions } from './agent-options.ts';
export {
  type BundleEndpoint,
  type BundleEndpointOptions,
  createBundleEndpoint,
} from './bundle-endpoint.ts';
export type { ServiceEndpoint } from './endpoint-table.ts';
export {
  type Announcement,
  createEnforcementPoint,
  type EnforcementPoint,
  type EnforcementPointOptions,
} from './enforcement-point.ts';
export { type ExposureWatch, readSocketTables, watchExposure } from './exposure.ts';
export {
  createRecordShipper,
  type RecordShipper,
  type RecordShipperOptions,
  readShippedSeq,
} from './record-shipper.ts';
export { followRedactionKeys, type RedactionKeyClient } from './redaction-client.ts';
