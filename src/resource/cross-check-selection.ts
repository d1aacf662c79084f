import type { Diagnostic, Problem } from './diagnostic.ts';
import type { Resource } from './resource.ts';
import { selectedServices, type World } from './world.ts';

/** Reports a problem at a path of one authored resource. */
export type ReportAt = (
  severity: Diagnostic['severity'],
  path: readonly (string | number)[],
  problem: Problem,
) => void;

/** Warns of a selector that no known workload carries the labels of. */
export function checkSelection(
  world: World,
  resource: Extract<Resource, { readonly spec: { readonly selector?: unknown } }>,
  report: ReportAt,
): void {
  const { selector } = resource.spec;
  // Without any Service the resources are a part of something larger, and nothing can be said.
  if (selector === undefined || world.services.length === 0) return;
  if (selectedServices(world, resource.metadata.namespace, { selector }).length > 0) return;
  report('warning', ['spec', 'selector'], {
    code: 'no_workload_selected',
    message: `no service of the namespace \`${resource.metadata.namespace}\` has these labels`,
    help: 'a workload has the label `app: SERVICE` and those that its Service declares in `spec.labels`',
  });
}
