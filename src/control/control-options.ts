import type { Log } from '#telemetry';

/** A host and a port to listen on; port 0: any free one. */
export type ListenAddress = { readonly host: string; readonly port: number };

/** What a control plane runs on. */
export type ControlOptions = {
  /** Holds control.db, records/ and console-sessions.json; made with mode 0700. */
  readonly folder: string;
  /** DSSE envelope of the trust root. */
  readonly trustRootFile: string;
  readonly trustDomain: string;
  readonly api: ListenAddress;
  readonly grpc: ListenAddress;
  /** Undefined: no console. */
  readonly console: ListenAddress | undefined;
  /** The built console. */
  readonly consoleAssets: string | undefined;
  /** `host:port` of the certificate authority. */
  readonly ca: { readonly address: string };
  /** Asked at each attempt: the CA's first start may come after ours. */
  readonly joinToken: () => string | Promise<string>;
  /** JSON: `[{name, fingerprint}]`, SHA-256 of each admin's certificate. */
  readonly adminsFile: string;
  /** Whether `palisade run` may register services that nobody registered; told to those who ask. */
  readonly autoRegister: boolean;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly log: Log;
  /** How long audit records are kept, ms; 400 days unless told. */
  readonly auditRetentionMs?: number;
  readonly softwareVersion?: string;
  /** Ends the wait for the certificate authority. */
  readonly signal?: AbortSignal;
};

/** A running control plane. */
export type Control = {
  readonly apiPort: number;
  readonly grpcPort: number;
  readonly consolePort: number | undefined;
  /** A new link that signs a browser in to the console, once, within ten minutes; undefined without a console. */
  readonly signInLink: () => string | undefined;
  readonly health: () => ControlHealth;
  readonly close: () => Promise<void>;
};

/** Whether a control plane can do its work. */
export type ControlHealth = {
  readonly ready: boolean;
  /** A sentence; empty when all is well. */
  readonly reason: string;
  readonly subscribers: number;
  readonly policySets: number;
  /** Namespaces whose stored set does not verify. */
  readonly brokenSets: readonly string[];
  readonly certificateExpiresAt: number;
};
