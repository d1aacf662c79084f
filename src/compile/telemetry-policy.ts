import { isSecretHeader, type PathTemplate, parseDuration, type TemplateSegment } from '#lib';
import { ROOT_NAMESPACE, type TelemetryPolicyResource } from '#resource';
import type { TelemetryRules } from '#snapshot';
import { type ResourceSets, resourcesOf } from './input.ts';
import { labelsMatch, type SelectedWorkload } from './selection.ts';

/**
 * What a workload's sidecar records: `records` from the nearest policy that sets a field (those with a selector before
 * those without, the own namespace before the root), `redaction` from all of them together, so that nobody
 * takes back what another asked for. Of several on one level the first by name counts.
 */
export function compileTelemetry(sets: ResourceSets, workload: SelectedWorkload): TelemetryRules {
  const policies = policiesFor(sets, workload);
  const records = policies.map(({ spec }) => spec.records);
  const redactions = policies.map(({ spec }) => spec.redaction);
  const headers = records.find((each) => each?.headers !== undefined)?.headers ?? [];
  return {
    recordsPerSecond: records.find((each) => each?.perSecond !== undefined)?.perSecond,
    rolloutMs: millisecondsOf(records.find((each) => each?.rollout !== undefined)?.rollout),
    // SECURITY: validation refuses such headers; an older control plane may have let one in.
    headers: headers.map((name) => name.toLowerCase()).filter((name) => !isSecretHeader(name)),
    paths: redactions.flatMap((each) => each?.paths ?? []).map(compileTemplate),
    hashed: [...new Set(redactions.flatMap((each) => each?.hashed ?? []))],
  };
}

function millisecondsOf(duration: string | undefined): number | undefined {
  const parsed = duration === undefined ? undefined : parseDuration(duration);
  return parsed?.ok === true ? parsed.value : undefined;
}

function policiesFor(
  sets: ResourceSets,
  { namespace, labels }: SelectedWorkload,
): readonly TelemetryPolicyResource[] {
  const namespaces = namespace === ROOT_NAMESPACE ? [namespace] : [namespace, ROOT_NAMESPACE];
  return namespaces.flatMap((each) => {
    const matching = resourcesOf(sets, each, 'TelemetryPolicy').filter(({ spec }) =>
      labelsMatch(spec.selector?.matchLabels, labels),
    );
    return [...matching.filter((one) => !isWide(one)), ...matching.filter(isWide)];
  });
}

function isWide({ spec }: TelemetryPolicyResource): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length === 0;
}

function compileTemplate(path: string): PathTemplate {
  const isPrefix = path.endsWith('/**');
  const written = (isPrefix ? path.slice(0, -3) : path).slice(1).split('/');
  const segments = written.map((segment): TemplateSegment => {
    if (segment === '*') return { kind: 'any' };
    if (segment.startsWith('{')) return { kind: 'secret', name: segment.slice(1, -1) };
    return { kind: 'literal', text: segment };
  });
  return { segments, isPrefix };
}
