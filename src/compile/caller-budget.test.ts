import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type Question } from '#policy';
import { parseResources, type ServiceResource } from '#resource';
import { compileCallerBudget } from './caller-budget.ts';
import { idOf, TRUST_DOMAIN } from './testing/resources.ts';

const ALONE = { trustDomain: TRUST_DOMAIN, mesh: undefined };

function serviceOf(callerBudget: string): ServiceResource {
  const text = `{apiVersion: palisade.dev/v1, kind: Service, metadata: {name: orders}, spec: {ports: [{port: 80, protocol: http}], callerBudget: ${callerBudget}}}`;
  const parsed = parseResources([{ file: 'f', text }], { defaultNamespace: 'default' });
  assert.deepEqual(parsed.diagnostics, []);
  return parsed.resources[0]?.resource as ServiceResource;
}

test('what requests cost is said by rules that read as those of policies do', () => {
  const service = serviceOf(
    '{units: 600, per: 30s, costs: [{cost: 0, rules: [{from: [{source: {namespaces: [monitoring]}}]}]}, {cost: 50, rules: [{to: [{operation: {methods: [POST], paths: ["/reports/{*}"]}}]}]}]}',
  );
  const compiled = compileCallerBudget(service, ALONE);
  assert.ok(compiled.ok && compiled.value !== undefined);
  const { units, perMs, defaultCost, costs, program } = compiled.value;
  assert.deepEqual([units, perMs, defaultCost], [600, 30_000, 1]);
  const costOf = (namespace: string, method: string, path: string): number | undefined => {
    const question: Question = {
      source: { id: idOf(namespace, 'web'), ip: '127.0.0.1' },
      connection: { tls: true, sni: undefined },
      request: { method, host: 'orders', path },
      destination: { port: 80 },
      nowMs: 0,
    };
    return costs.get(decide(program, question).policy ?? '');
  };
  assert.equal(costOf('default', 'POST', '/reports/year'), 50);
  assert.equal(costOf('default', 'GET', '/reports/year'), undefined);
  assert.equal(costOf('monitoring', 'POST', '/reports/year'), 0);
  const again = compileCallerBudget(service, ALONE);
  assert.ok(again.ok && again.value === compiled.value, 'made once');
});

test('a service that says nothing has no budget', () => {
  const service = serviceOf('{units: 1}');
  const { callerBudget: _, ...spec } = service.spec;
  assert.deepEqual(compileCallerBudget({ ...service, spec }, ALONE), {
    ok: true,
    value: undefined,
  });
});

test('a rule that cannot be enforced to the letter is an error', () => {
  const service = serviceOf('{units: 5, costs: [{cost: 1, rules: [{}]}]}');
  const rules = [{ from: [{ source: { ipBlocks: ['nowhere'] } }] }];
  const broken = { units: 5, per: '1m', defaultCost: 1, costs: [{ cost: 1, rules }] };
  const compiled = compileCallerBudget(
    { ...service, spec: { ...service.spec, callerBudget: broken } },
    ALONE,
  );
  assert.ok(!compiled.ok);
  assert.match(compiled.error.join(), /Service default\/orders: callerBudget: ipBlocks: /);
});
