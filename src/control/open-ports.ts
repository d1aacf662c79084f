import { type ResourceSets, resolvePeerMode, workloadLabels } from '#compile';
import type { ServiceResource } from '#resource';

/** A port of a service and what it asks of callers; `setBy` names the PeerAuthentication, null the mesh's default. */
export type PortMode = {
  readonly service: string;
  readonly port: number;
  readonly mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  readonly setBy: string | null;
};

/** Every port of every service. */
export function portModes(sets: ResourceSets): readonly PortMode[] {
  const services = [...sets.values()].flatMap(({ resources }) =>
    resources.filter((resource): resource is ServiceResource => resource.kind === 'Service'),
  );
  return services.flatMap(({ metadata, spec }) => {
    const { namespace, name } = metadata;
    const labels = workloadLabels(name, spec.labels);
    return spec.ports.map(({ port }) => {
      const { mode, from } = resolvePeerMode(sets, { namespace, service: name, labels }, port);
      return { service: `${namespace}/${name}`, port, mode, setBy: from ?? null };
    });
  });
}
