import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolvePeerMode } from './peer-authentication.ts';
import { meshYaml, peerYaml, setsFrom } from './testing/resources.ts';

const ORDERS = { namespace: 'default', service: 'orders', labels: { app: 'orders' } };
const SELECT = 'selector: {matchLabels: {app: orders}}';

/** Checks the mode of port 80 of `default/orders` and who set it. */
function check(name: string, yaml: string, mode: string, from: string | undefined): void {
  test(name, () => {
    assert.deepEqual(resolvePeerMode(setsFrom(yaml), ORDERS, 80), { mode, from });
  });
}

check('nothing at all is STRICT', '', 'STRICT', undefined);
check('the Mesh', meshYaml('{peerAuthentication: {mode: PERMISSIVE}}'), 'PERMISSIVE', 'Mesh mesh');
check(
  'the root namespace beats the Mesh',
  meshYaml('{peerAuthentication: {mode: STRICT}}') +
    peerYaml('palisade-system', 'all', '{mtls: {mode: DISABLE}}'),
  'DISABLE',
  'PeerAuthentication palisade-system/all',
);
check(
  'the namespace beats the root namespace',
  peerYaml('palisade-system', 'all', '{mtls: {mode: DISABLE}}') +
    peerYaml('default', 'ns', '{mtls: {mode: PERMISSIVE}}'),
  'PERMISSIVE',
  'PeerAuthentication default/ns',
);
check(
  'the workload beats the namespace',
  peerYaml('default', 'ns', '{mtls: {mode: PERMISSIVE}}') +
    peerYaml('default', 'w', `{${SELECT}, mtls: {mode: STRICT}}`),
  'STRICT',
  'PeerAuthentication default/w',
);
check(
  'the port beats the workload',
  peerYaml(
    'default',
    'w',
    `{${SELECT}, mtls: {mode: STRICT}, portLevelMtls: {"80": {mode: DISABLE}}}`,
  ),
  'DISABLE',
  'PeerAuthentication default/w',
);
check(
  'another port leaves the workload',
  peerYaml(
    'default',
    'w',
    `{${SELECT}, mtls: {mode: STRICT}, portLevelMtls: {"81": {mode: DISABLE}}}`,
  ),
  'STRICT',
  'PeerAuthentication default/w',
);
check(
  'UNSET inherits on each level',
  meshYaml('{peerAuthentication: {mode: PERMISSIVE}}') +
    peerYaml('default', 'ns', '{mtls: {mode: UNSET}}') +
    peerYaml(
      'default',
      'w',
      `{${SELECT}, mtls: {mode: UNSET}, portLevelMtls: {"80": {mode: UNSET}}}`,
    ),
  'PERMISSIVE',
  'Mesh mesh',
);
check(
  'a selector for others does not count',
  peerYaml('default', 'w', '{selector: {matchLabels: {app: web}}, mtls: {mode: DISABLE}}'),
  'STRICT',
  undefined,
);
check(
  'a selector in the root namespace reaches only workloads there',
  peerYaml('palisade-system', 'w', `{${SELECT}, mtls: {mode: DISABLE}}`),
  'STRICT',
  undefined,
);
check(
  'another namespace does not count',
  peerYaml('shop', 'ns', '{mtls: {mode: DISABLE}}'),
  'STRICT',
  undefined,
);
check(
  'of several on one level the first by name counts',
  peerYaml('default', 'b', '{mtls: {mode: DISABLE}}') +
    peerYaml('default', 'a', '{mtls: {mode: PERMISSIVE}}'),
  'PERMISSIVE',
  'PeerAuthentication default/a',
);
check(
  'no namespace goes below the minimum of the Mesh',
  meshYaml('{peerAuthentication: {mode: STRICT, minimum: PERMISSIVE}}') +
    peerYaml('default', 'w', `{${SELECT}, mtls: {mode: DISABLE}}`),
  'PERMISSIVE',
  'the minimum of Mesh mesh',
);
check(
  'what is stricter than the minimum stays as it is',
  meshYaml('{peerAuthentication: {mode: PERMISSIVE, minimum: PERMISSIVE}}') +
    peerYaml('default', 'ns', '{mtls: {mode: STRICT}}'),
  'STRICT',
  'PeerAuthentication default/ns',
);
