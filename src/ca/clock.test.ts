// Clocks that step by an hour, at the authority and at those who ask it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { parseBundle, parseTrustDomain, verifyX509Svid } from '#identity';
import { verifyIssuanceLog } from '#trust';
import { Issuance } from '#wire';
import { openDatabase } from './database.ts';
import { createTestMesh, csrOf, enrol, TRUST_DOMAIN } from './fixtures.ts';
import { openIssuanceLog } from './issuance-log.ts';

const HOUR_MS = 3_600_000;
const mesh = createTestMesh();
after(() => mesh.remove());
const trustDomain = parseTrustDomain(TRUST_DOMAIN);
assert.ok(trustDomain.ok);
const bundle = parseBundle(trustDomain.value, mesh.rootPem);
assert.ok(bundle.ok);

for (const [name, stepMs] of [
  ['ahead', HOUR_MS],
  ['back', -HOUR_MS],
] as const) {
  test(`the authority’s clock steps an hour ${name} and back: it goes on issuing afterwards, and its log is whole`, async (t) => {
    const realMs = mesh.clock.nowMs;
    const ca = await mesh.startCa();
    t.after(async () => {
      mesh.clock.nowMs = realMs;
      agent.client.close();
      await ca.close();
    });
    const agent = await enrol(mesh, ca.port, '/palisade/agent/host', mesh.tokens.agent);
    const renew = async () => {
      const { csr } = csrOf('/palisade/agent/host');
      return agent.client.unary(Issuance.method.issueX509Svid, { csr });
    };
    mesh.clock.nowMs = realMs + stepMs;
    if (stepMs > 0) {
      const during = await renew();
      // What a wrong clock signed counts where that clock says so, and nowhere else.
      assert.ok(verifyX509Svid(during.chain, bundle.value, mesh.clock.nowMs).ok);
      const elsewhere = verifyX509Svid(during.chain, bundle.value, realMs);
      assert.match(elsewhere.ok ? '' : elsewhere.error.message, /valid in 5[89]m.*a clock wrong/);
    } else {
      // It goes on by what it was: what has expired stays so, and what it signs counts everywhere.
      const during = await renew();
      assert.ok(verifyX509Svid(during.chain, bundle.value, realMs).ok);
    }
    mesh.clock.nowMs = realMs;
    const afterwards = await renew();
    assert.ok(verifyX509Svid(afterwards.chain, bundle.value, realMs).ok);
    assert.equal(ca.health().ready, true);
    const database = openDatabase(join(mesh.folder, 'ca.db'));
    const log = verifyIssuanceLog(openIssuanceLog(database).read(0, 1_000));
    database.close();
    assert.ok(log.ok, log.ok ? '' : log.error.message);
  });
}

test('an agent whose certificate ran out by the authority’s clock is told so, and enrols anew', async () => {
  const ca = await mesh.startCa();
  const agent = await enrol(mesh, ca.port, '/palisade/agent/late', mesh.tokens.agent);
  mesh.clock.nowMs += 26 * HOUR_MS;
  const { csr } = csrOf('/palisade/agent/late');
  await assert.rejects(agent.client.unary(Issuance.method.issueX509Svid, { csr }), {
    code: status.UNAUTHENTICATED,
  });
  agent.client.close();
  mesh.clock.nowMs -= 26 * HOUR_MS;
  const again = await enrol(mesh, ca.port, '/palisade/agent/late', mesh.tokens.agent);
  again.client.close();
  await ca.close();
});
