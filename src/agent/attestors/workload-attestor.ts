import type { AttestationStrength } from '#identity';
import type { LocalPeer } from '../attest.ts';

/**
 * One way to find out what is true of a local process. An attestor that cannot say anything of it says nothing:
 * selectors only ever add to what a process may have.
 */
export type WorkloadAttestor = {
  readonly name: 'unix' | 'host' | 'introduced' | 'systemd' | 'container' | 'kubernetes';
  /** What its word is worth. */
  readonly strength: AttestationStrength;
  /** The selectors that hold for the process now. */
  readonly selectorsOf: (peer: LocalPeer) => readonly string[] | Promise<readonly string[]>;
};
