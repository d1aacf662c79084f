import type { HttpBindings } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { TrustDomain } from '#identity';
import type { Added, RecordStore } from '#record-store';
import type { RevocationStore } from '#revocation';
import type { Log } from '#telemetry';
import type { GrpcClient } from '#wire';
import type { AdmissionContext } from '../admit.ts';
import type { Alerts } from '../alerts.ts';
import type { AuditTrail } from '../audit-trail.ts';
import type { ConsoleSessions } from '../console-sessions.ts';
import type { EndpointRegistry } from '../endpoints.ts';
import type { Enforcement } from '../enforcement.ts';
import type { Broadcast, ControlEvent } from '../events.ts';
import type { Horizon } from '../horizon.ts';
import type { IssuanceReader } from '../issuance.ts';
import type { TrafficMap } from '../map.ts';
import type { PolicySets } from '../policy-sets.ts';
import type { ResourceView } from '../resource-sets.ts';
import type { Sinks } from '../sinks.ts';
import type { Store } from '../store.ts';
import type { TrustAnchor } from '../trust-root-file.ts';
import type { Deed } from './audited.ts';

/** Who sent a request: an admin by certificate, or the console by its cookie. */
export type Session = {
  readonly kind: 'admin' | 'console';
  readonly name: string;
  readonly readOnly: boolean;
  /** Milliseconds since 1970; undefined: does not end by itself. */
  readonly expiresAt: number | undefined;
};

/** Addresses and facts of this control plane for those who ask. */
export type ControlFacts = {
  readonly version: string;
  readonly startedAt: number;
  readonly apiUrl: string;
  readonly grpcAddress: string;
  readonly caAddress: string;
  readonly consoleUrl: string | null;
  readonly autoRegister: boolean;
  readonly identity: () => { readonly serial: string; readonly expiresAt: number };
};

/** All that the API reads and changes. */
export type ApiContext = {
  readonly facts: () => ControlFacts;
  readonly trustDomain: TrustDomain;
  readonly trustRoot: TrustAnchor;
  /** A client of the authority, which the caller closes. */
  readonly authority: () => GrpcClient;
  readonly store: Store;
  readonly sets: PolicySets;
  readonly resources: ResourceView;
  readonly admission: AdmissionContext;
  /** Counts a commit that was handed in. */
  readonly countCommit: (outcome: 'admitted' | 'refused') => void;
  /** After a commit was stored. */
  readonly policyChanged: (namespace: string) => void;
  readonly enforcement: Enforcement;
  readonly endpoints: EndpointRegistry;
  readonly map: TrafficMap;
  readonly records: RecordStore;
  readonly revocations: RevocationStore;
  readonly audit: AuditTrail;
  readonly arriving: Broadcast<Added>;
  readonly events: Broadcast<ControlEvent>;
  readonly issuance: IssuanceReader;
  readonly horizon: Horizon;
  readonly alerts: Alerts;
  readonly sessions: ConsoleSessions;
  readonly sinks: Sinks;
  /** Counts an answer; `tookMs` undefined for a stream, which ends when its reader likes. */
  readonly countAnswer: (status: number, tookMs: number | undefined) => void;
  readonly metrics: (
    openMetrics: boolean,
  ) => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly clock: () => number;
  readonly log: Log;
};

/** Hono's environment of every route. */
export type ApiEnv = {
  readonly Bindings: HttpBindings;
  readonly Variables: { session: Session; audit?: Deed };
};

/** The application that routes are added to. */
export type Api = OpenAPIHono<ApiEnv>;
