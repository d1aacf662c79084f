import type { AttestationStrength } from '#identity';
import type { LocalPeer } from '../attest.ts';

/** A process while it is asked about, and what several attestors go by: read once for all of them. */
export type AttestedProcess = LocalPeer & {
  /** Paths of its control groups, one a hierarchy (cgroups(7)). */
  readonly cgroups: readonly string[];
};

/**
 * One way to find out what is true of a local process. An attestor that cannot say anything of it says nothing:
 * selectors only ever add to what a process may have.
 */
export type WorkloadAttestor = {
  readonly name: 'unix' | 'host' | 'introduced' | 'systemd' | 'container' | 'kubernetes';
  /** What its word is worth. */
  readonly strength: AttestationStrength;
  /** The selectors that hold for the process now. */
  readonly selectorsOf: (
    process: AttestedProcess,
  ) => readonly string[] | Promise<readonly string[]>;
};
