import { builtInSlo, DEFAULT_SLOS, SLIS, type Slo } from '#alert';
import type { ResourceSets } from '#compile';
import { parseDuration } from '#lib';
import { ROOT_NAMESPACE, type SloResource } from '#resource';

/**
 * The objectives in force: those that are written, and the built-in ones of which no SLO of the root namespace has the
 * name.
 */
export function slosOf(sets: ResourceSets): readonly Slo[] {
  const written = Array.from(sets.values())
    .flatMap(({ resources }) => resources)
    .filter((resource): resource is SloResource => resource.kind === 'SLO')
    .map(sloOf);
  const replaced = new Set(
    written.filter(({ namespace }) => namespace === undefined).map(({ name }) => name),
  );
  return [...DEFAULT_SLOS.filter(({ name }) => !replaced.has(name)), ...written];
}

function sloOf({ metadata, spec }: SloResource): Slo {
  const objective = Number.parseFloat(spec.objective) / 100;
  const { namespace, name } = metadata;
  const defaults = builtInSlo(spec.sli, objective);
  return {
    ...defaults,
    name,
    windowMs: millisecondsOf(spec.window) ?? defaults.windowMs,
    thresholdMs: millisecondsOf(spec.threshold) ?? SLIS[spec.sli].thresholdMs,
    namespace: namespace === ROOT_NAMESPACE ? undefined : namespace,
    service: spec.service,
    alert: spec.alert,
    builtIn: false,
  };
}

function millisecondsOf(text: string | undefined): number | undefined {
  const parsed = text === undefined ? undefined : parseDuration(text);
  return parsed?.ok === true ? parsed.value : undefined;
}
