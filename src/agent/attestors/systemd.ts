import type { WorkloadAttestor } from './workload-attestor.ts';

/** The systemd unit that the process runs in, `systemd:id:NAME.service` as SPIRE names it. */
export function createSystemdAttestor(): WorkloadAttestor {
  return {
    name: 'systemd',
    strength: 'process',
    selectorsOf({ cgroups }) {
      const unit = unitOf(cgroups);
      return unit === undefined ? [] : [`systemd:id:${unit}`];
    },
  };
}

/**
 * The service unit of a process by its control groups; undefined if it runs in none of the system's manager.
 * SECURITY: the outermost one. What a service or a user's own manager calls groups below its own is its own choice.
 */
export function unitOf(cgroups: readonly string[]): string | undefined {
  for (const path of cgroups) {
    const [, slice = '', ...below] = path.split('/');
    if (!slice.endsWith('.slice')) continue;
    const unit = below.find((part) => !part.endsWith('.slice'));
    return unit !== undefined && UNIT.test(unit) ? unit : undefined;
  }
  return undefined;
}

// systemd.unit(5): what a unit may be called.
const UNIT = /^[A-Za-z0-9:_.\\@-]{1,248}\.service$/;
