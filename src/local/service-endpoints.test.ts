import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeclaredEndpoint } from '#snapshot';
import { withDeclared } from './service-endpoints.ts';

const ports = [
  { port: 80, name: 'http', protocol: 'http', targetPort: 8080 },
  { port: 90, name: 'tcp', protocol: 'tcp' },
] as const;
const service = (...endpoints: DeclaredEndpoint[]) => ({ ports, endpoints });
const plain = { port: undefined, hbonePort: undefined, authority: 'service' } as const;

function check(declared: Partial<DeclaredEndpoint>, port: number, want: unknown): void {
  const given = service({ ...plain, host: '10.0.0.7', ...declared });
  assert.deepEqual(withDeclared(() => [])(given, port), [want], JSON.stringify(declared));
}

test('an endpoint of a Service is spoken to as the Service says', () => {
  const at = { host: '10.0.0.7', hbonePort: undefined, authority: undefined };
  check({}, 80, { ...at, port: 8080 });
  check({}, 90, { ...at, port: 90 });
  check({ port: 15_006 }, 80, { ...at, port: 15_006 });
  check({ hbonePort: 15_008 }, 80, { ...at, port: 8080, hbonePort: 15_008 });
  const byAddress = { hbonePort: 15_008, authority: 'address' } as const;
  const named = { ...at, port: 8080, hbonePort: 15_008, authority: '10.0.0.7:8080' };
  check(byAddress, 80, named);
  check({ ...byAddress, host: 'fd00::7' }, 80, {
    ...named,
    host: 'fd00::7',
    authority: '[fd00::7]:8080',
  });
});

test('they join those that sidecars announce, in a list that stays the same object', () => {
  const announced = [{ host: '127.0.0.1', port: 1, hbonePort: 2 }];
  let current = announced;
  const endpoints = withDeclared(() => current);
  const given = service({ ...plain, host: '10.0.0.7' });
  const first = endpoints(given, 80);
  assert.deepEqual(
    first.map(({ host }) => host),
    ['127.0.0.1', '10.0.0.7'],
  );
  assert.equal(endpoints(given, 80), first);
  assert.notEqual(endpoints(given, 90), first);
  current = [];
  assert.deepEqual(
    endpoints(given, 80).map(({ host }) => host),
    ['10.0.0.7'],
  );
  const silent = { ports, endpoints: undefined };
  assert.equal(withDeclared(() => announced)(silent, 80), announced);
});
