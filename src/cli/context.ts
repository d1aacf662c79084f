/** What a command may touch of its surroundings; tests give their own. */
export type CliContext = {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stdin: NodeJS.ReadableStream;
  readonly env: NodeJS.ProcessEnv;
  /** The long-running processes, composed outside of this layer. */
  readonly processes: Processes;
};

/** Each resolves to an exit status when the process is over. */
export type Processes = {
  readonly up: (options: UpOptions) => Promise<number>;
  readonly control: (options: ControlOptions) => Promise<number>;
  readonly ca: (options: CaOptions) => Promise<number>;
  readonly authority: (options: AuthorityOptions) => Promise<number>;
  readonly agent: (options: AgentOptions) => Promise<number>;
  readonly bundleEndpoint: (options: BundleEndpointOptions) => Promise<number>;
  readonly proxy: (options: ProxyOptions) => Promise<number>;
  readonly run: (options: RunOptions) => Promise<number>;
};

/** What all processes get. */
export type ProcessOptions = {
  readonly dataDir: string;
  readonly output: OutputFormat;
  readonly verbose: boolean;
};

export type UpOptions = ProcessOptions & {
  readonly demo: boolean;
  /** False lets a demo take a temporary folder. */
  readonly dataDirGiven: boolean;
  readonly strict: boolean;
  readonly trustDomain: string | undefined;
  /** API port; gRPC, CA and console follow it. 0 takes free ones. */
  readonly port: number;
  readonly auditRetentionMs: number | undefined;
};

export type ControlOptions = ProcessOptions & {
  readonly host: string;
  readonly port: number | undefined;
  /** How long audit records are kept; undefined: as long as by default. */
  readonly auditRetentionMs: number | undefined;
};
export type CaOptions = ProcessOptions & {
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly host: string;
  readonly port: number | undefined;
};
/** What is done by hand with the authority's keys, on its host. */
export type AuthorityOptions = ProcessOptions & {
  readonly action:
    | { readonly kind: 'request' }
    | { readonly kind: 'import'; readonly file: string }
    | { readonly kind: 'sign'; readonly file: string; readonly ttlMs: number };
};

/** What a host shows, by the attestor that verifies it. */
export type AttestOptions =
  | { readonly kind: 'join_token'; readonly tokenFile: string }
  | {
      readonly kind: 'x509pop' | 'sshpop';
      readonly certificateFile: string;
      readonly keyFile: string;
    }
  | { readonly kind: 'tpm'; readonly tcti: string | undefined }
  | { readonly kind: 'k8s_psat'; readonly cluster: string; readonly tokenFile: string }
  | {
      readonly kind: 'aws_iid' | 'gcp_iit' | 'azure_msi';
      readonly metadataUrl: string | undefined;
      readonly audience: string;
    };

export type AgentOptions = ProcessOptions & {
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly hostName: string | undefined;
  readonly peers: { readonly host: string; readonly port: number } | undefined;
  readonly allowOtherUsers: boolean;
  /** How this host proves itself to the authority; by the mesh's own join token where absent. */
  readonly attest: AttestOptions | undefined;
  /** How this node's kubelet is asked, where there is one. */
  readonly kubelet:
    | {
        readonly url: string;
        readonly caFile: string;
        readonly tokenFile: string;
        readonly nodeName: string;
      }
    | undefined;
};

/** `NAME[.NS][:PORT]=LOCALPORT`. */
export type UpstreamOption = {
  readonly service: string;
  readonly port: number | undefined;
  readonly localPort: number;
};

export type ProxyOptions = ProcessOptions & {
  readonly service: string;
  readonly namespace: string;
  readonly appPort: number | undefined;
  readonly inboundPort: number | undefined;
  readonly hbonePort: number | undefined;
  readonly outboundPort: number | undefined;
  readonly metricsPort: number | undefined;
  readonly upstreams: readonly UpstreamOption[];
};

export type RunOptions = ProxyOptions & {
  readonly command: readonly string[];
  readonly server: string | undefined;
};

export type OutputFormat = 'text' | 'json' | 'yaml';

/** What `palisade bundle-endpoint` was asked for. */
export type BundleEndpointOptions = {
  /** Path of the Workload API's socket. */
  readonly socket: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly webCert: string | undefined;
  readonly webKey: string | undefined;
  readonly issuer: string | undefined;
  readonly verbose: boolean;
};
