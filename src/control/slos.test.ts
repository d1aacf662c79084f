import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLI_NAMES } from '#alert';
import { parseResources } from '#resource';
import { slosOf } from './slos.ts';

function setsOf(text: string) {
  const { resources, diagnostics } = parseResources([{ file: 'slo.yaml', text }], {
    defaultNamespace: 'shop',
    trustDomain: 'cluster.local',
  });
  assert.deepEqual(diagnostics, []);
  const all = resources.map(({ resource }) => resource);
  const byNamespace = Map.groupBy(all, ({ metadata }) => metadata.namespace);
  return new Map(
    Array.from(byNamespace, ([namespace, own]) => [namespace, { version: 1, resources: own }]),
  ) as unknown as Parameters<typeof slosOf>[0];
}

const slo = (name: string, namespace: string, spec: string) =>
  `apiVersion: palisade.dev/v1\nkind: SLO\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;

test('without any SLO the built-in ones hold, one for each indicator', () => {
  assert.deepEqual(
    slosOf(new Map()).map(({ sli }) => sli),
    SLI_NAMES,
  );
});

test('an SLO of the root namespace replaces the built-in one of its name, others come on top', () => {
  const sets = setsOf(
    slo(
      'control-latency',
      'palisade-system',
      '{sli: control_latency, objective: 99%, threshold: 20ms, alert: none}',
    ) +
      slo(
        'control-latency',
        'shop',
        '{sli: denial_rate, objective: "99.5", window: 7d, service: web}',
      ),
  );
  const found = slosOf(sets);
  assert.equal(found.length, SLI_NAMES.length + 1);
  const named = found.filter(({ name }) => name === 'control-latency');
  assert.deepEqual(named, [
    {
      name: 'control-latency',
      sli: 'control_latency',
      objective: 0.99,
      windowMs: 30 * 86_400_000,
      thresholdMs: 20,
      namespace: undefined,
      service: undefined,
      alert: 'none',
      builtIn: false,
    },
    {
      name: 'control-latency',
      sli: 'denial_rate',
      objective: 0.995,
      windowMs: 7 * 86_400_000,
      thresholdMs: undefined,
      namespace: 'shop',
      service: 'web',
      alert: 'page',
      builtIn: false,
    },
  ]);
});

test('whatever can be measured can be written, and the other way round', () => {
  const all = SLI_NAMES.map((sli) =>
    slo(sli.replaceAll('_', '-'), 'palisade-system', `{sli: ${sli}, objective: 99%}`),
  );
  assert.deepEqual(
    slosOf(setsOf(all.join(''))).map(({ sli, builtIn }) => [sli, builtIn]),
    SLI_NAMES.map((sli) => [sli, false]),
  );
});
