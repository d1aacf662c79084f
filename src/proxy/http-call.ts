import type { PathNormalization } from '#lib';
import type { FieldLookup } from '#protocol';
import type { Timeouts } from '#snapshot';
import type { RecordedCall } from '#telemetry';
import type { Permit } from './authorize.ts';
import type { Connector } from './connector.ts';
import type { CallRecorder } from './record.ts';
import type { Failure, FailureKind } from './respond.ts';
import type { TlsPeer } from './tls-peer.ts';
import type { PassedUser } from './token.ts';

/** What the stages see of a request, whichever version of HTTP it came in. */
export type RequestFacts = {
  readonly method: string;
  /** Canonical path without query. */
  readonly path: string;
  /** Authority in lower case without trailing dot, with its port where one was given. */
  readonly host: string;
  /** The path with its query as it came. */
  readonly target: string;
  readonly fields: FieldLookup;
};

/** Fields that the server gets otherwise than the caller sent them; names in lower case. */
export type HeaderChanges = {
  /** Left out, also where they are written with underscores. */
  readonly remove: readonly string[];
  readonly add: readonly (readonly [name: string, value: string])[];
};

/** What the forwarded head says besides what the caller said. */
export type ForwardOptions = {
  readonly connector: Connector;
  /** The value of `traceparent`. */
  readonly traceparent: string;
  /** The value of `x-forwarded-client-cert`; undefined for none. */
  readonly clientCert: string | undefined;
  /** The authority to send instead of the caller's. */
  readonly host: string | undefined;
  readonly headers?: HeaderChanges | undefined;
};

/** One request under way, as a direction sees it: a turn of an HTTP/1.1 connection or an HTTP/2 stream. */
export type HttpCall = {
  /** The request; undefined once it is over. */
  readonly head: RequestFacts | undefined;
  /** What is recorded of it; directions fill it in as they learn. */
  readonly record: RecordedCall;
  readonly calls: CallRecorder;
  /** Providers that said yes to this request; whoever serves a request begins with none. */
  consented?: ReadonlySet<string> | undefined;
  /** The service that the caller's sidecar found by its name. */
  calledFqdn?: string | undefined;
  /** Who is behind it, once its tokens were looked at. */
  user?: PassedUser | undefined;
  /** Time limits: the workload's own until a service's are known. */
  timeouts: Timeouts;
  /** The server that answers, if one was reached over TLS. */
  readonly upstream: { readonly secure: TlsPeer | undefined } | undefined;
  /** Sends the permitted request on its way. */
  readonly forward: (permit: Permit, options: ForwardOptions) => void;
  /** Answers instead of a server. */
  readonly respond: (failure: Failure) => void;
};

/** What a call is judged again by; an idle connection is one without a head. */
export type JudgedCall = Pick<HttpCall, 'head' | 'upstream' | 'consented' | 'user' | 'calledFqdn'>;

/** What differs between the two directions. */
export type HttpDirection = {
  readonly side: 'inbound' | 'outbound';
  /** The certificate that the caller was shown is not ours any more: its connection takes no further calls. */
  readonly isOutdated: boolean;
  /** How paths are brought into one form for what is asked of `host`. */
  readonly pathNormalization: (host: string) => PathNormalization;
  /** authorize → route → admit → forward, for one request; ends in `forward` or `respond` of the call. */
  readonly serve: (call: HttpCall, head: RequestFacts) => void;
  /** Why the exchange under way, or the idle connection, may be no more; undefined if it may go on. */
  readonly judge: (call: JudgedCall) => FailureKind | undefined;
  /** Notes in the record what has come to deny the exchange; returns the id by which that can be explained. */
  readonly noteCut: (call: JudgedCall, record: RecordedCall) => string | undefined;
};
