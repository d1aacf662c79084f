import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServiceName } from './service-name.ts';

/** What each text names seen from the namespace `here`: `NAMESPACE NAME HOST PORT`. */
const CASES: readonly (readonly [string, string | undefined])[] = [
  ['orders', 'here orders orders -'],
  ['Orders', 'here orders orders -'],
  ['orders:8080', 'here orders orders 8080'],
  ['shop/orders', 'shop orders orders.shop -'],
  ['orders.shop', 'shop orders orders.shop -'],
  ['orders.shop.svc', 'shop orders orders.shop.svc -'],
  ['orders.shop.svc.cluster.local:80', 'shop orders orders.shop.svc.cluster.local 80'],
  ['orders.shop.svc.other', undefined],
  ['orders.shop.com', undefined],
  ['a/b/c', undefined],
  ['-x', undefined],
  ['', undefined],
  ['orders:', undefined],
  ['orders:x', undefined],
  ['spiffe://cluster.local/ns/a/sa/b', undefined],
];

for (const [text, wanted] of CASES) {
  test(`\`${text}\` is ${wanted ?? 'no service'}`, () => {
    const parsed = parseServiceName(text, 'here', 'cluster.local');
    const shown = parsed.ok
      ? `${parsed.value.namespace} ${parsed.value.name} ${parsed.value.host} ${parsed.value.port ?? '-'}`
      : undefined;
    assert.equal(shown, wanted);
  });
}
