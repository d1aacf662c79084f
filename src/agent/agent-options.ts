import type { Scheduler } from '#lib';
import type { Log } from '#telemetry';
import type { KubeletOptions } from './attestors/kubelet.ts';
import type { CredentialSource } from './credentials.ts';
import type { EvidenceConfig } from './evidence/evidence-config.ts';

/** What an agent is made of; addresses are `host:port`. */
export type AgentOptions = {
  /** Keeps the agent's identity, introductions and last good configuration. */
  readonly folder: string;
  readonly socketPath: string;
  /** Where the trust root is pinned from at the first start. */
  readonly trustRootFile: string;
  readonly caAddress: string;
  readonly controlAddress: string;
  /** Asked at each attempt: the CA's first start may come after ours. */
  readonly joinToken: () => string | Promise<string>;
  /** The agent's identity is `spiffe://TD/palisade/agent/HOST`, where its evidence does not say otherwise. */
  readonly hostName: string;
  /** How this host proves itself; by the mesh's own join token where absent. */
  readonly evidence?: EvidenceConfig;
  /** Lets processes of other users connect; they still get only what is registered for them. */
  readonly allowOtherUsers?: boolean;
  /** Where other agents bring revocations; undefined: nowhere. */
  readonly peers?: { readonly host: string; readonly port: number } | undefined;
  /** Where the agent runs on a node of Kubernetes. */
  readonly kubelet?: Omit<KubeletOptions, 'log'>;
  readonly softwareVersion?: string;
  readonly clock: () => number;
  readonly log: Log;
  readonly random?: () => number;
  readonly scheduler?: Scheduler;
  /** The kernel's, unless a test brings its own. */
  readonly credentials?: CredentialSource;
};
