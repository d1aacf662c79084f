import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddressGuard } from './address-guard.ts';

const OWN = [7700, 7701];

/** Whether a guard that allows `allowed` lets a sink lead to `address`. */
function check(
  address: string,
  port: number,
  expected: boolean,
  allowed: readonly string[] = [],
): void {
  const guard = createAddressGuard({ ownPorts: () => OWN, allowed });
  assert.equal(guard.refuse(address, port) === undefined, expected, `${address}:${port}`);
}

test('SSRF: metadata services, link-local and multicast are refused in every spelling', () => {
  for (const address of [
    '169.254.169.254',
    '169.254.170.2',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    'fe80::1',
    'fd00:ec2::254',
    '100.100.100.200',
    '168.63.129.16',
    '0.0.0.0',
    '::',
    '224.0.0.251',
    'ff02::fb',
    '255.255.255.255',
    'not an address',
    'fe80::1%eth0',
  ]) {
    check(address, 4318, false);
  }
});

test('everything else may be a receiver, this host too', () => {
  for (const address of [
    '127.0.0.1',
    '::1',
    '10.1.2.3',
    '192.0.2.1',
    '2001:db8::1',
    '100.100.100.201',
  ]) {
    check(address, 4318, true);
  }
});

test("SSRF: the mesh's own ports on this host are refused whatever is declared", () => {
  for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1']) {
    check(address, 7700, false, ['0.0.0.0/0', '::/0']);
    check(address, 7702, true);
  }
  check('192.0.2.1', 7700, true);
});

test('what is declared is allowed, and no more', () => {
  check('169.254.10.7', 4318, true, ['169.254.10.0/24']);
  check('169.254.169.254', 4318, false, ['169.254.10.0/24']);
});

test('of the addresses of a name those remain that are not refused', async () => {
  const of = (...addresses: readonly string[]) =>
    createAddressGuard({
      ownPorts: () => OWN,
      allowed: [],
      resolveAll: () => Promise.resolve(addresses),
    });
  assert.deepEqual(await of('169.254.169.254', '192.0.2.1').resolve('x.example', 443), {
    ok: true,
    value: ['192.0.2.1'],
  });
  assert.equal((await of('169.254.169.254').resolve('x.example', 443)).ok, false);
  assert.equal((await of().resolve('x.example', 443)).ok, false);
});
