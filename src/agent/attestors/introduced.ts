import type { Introductions } from '../introductions.ts';
import type { WorkloadAttestor } from './workload-attestor.ts';

/** The service as which `palisade run` introduced the process or an ancestor of it. */
export function createIntroducedAttestor(introductions: Introductions): WorkloadAttestor {
  return {
    name: 'introduced',
    strength: 'process',
    selectorsOf({ pid }) {
      const service = introductions.serviceOf(pid);
      return service === undefined
        ? []
        : [`palisade:service:${service.namespace}/${service.service}`];
    },
  };
}
