import type { WorkloadAttestor } from './workload-attestor.ts';

/**
 * What the authority knows of this host, so that registrations that ask for it match here too. The authority believes
 * its own book, not this.
 */
export function createHostAttestor(selectors: () => readonly string[]): WorkloadAttestor {
  return { name: 'host', strength: 'none', selectorsOf: selectors };
}
