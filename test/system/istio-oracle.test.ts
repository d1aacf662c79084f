import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { compileProgram, decide } from '#policy';
import { authoredPolicies, DOMAINS } from '../../src/compile/testing/authored-policies.ts';
import { istioRbac } from '../../src/compile/testing/istio-rbac.ts';
import { compileAuthored, createRandom } from '../../src/compile/testing/oracle-policies.ts';
import {
  CONNECTIONS,
  oracleQuestion,
  oracleRequest,
} from '../../src/compile/testing/oracle-requests.ts';
import { startOracleEnvoy } from './istio-envoy.ts';
import { freePort } from './mesh.ts';

const BINARY = process.env['ENVOY_BIN'];
const SETS = Number(process.env['PALISADE_ORACLE_SETS'] ?? 80);
const SEED = Number(process.env['PALISADE_ORACLE_SEED'] ?? 40_000);
const REQUESTS_PER_CONNECTION = 6;

const skip =
  BINARY !== undefined && existsSync(BINARY) ? false : 'no Envoy: set ENVOY_BIN to its binary';

test('Envoy with the filters that Istio would make gives the same verdicts', {
  skip,
}, async (context) => {
  const port = await freePort();
  const sets = Array.from({ length: SETS }, (_, i) => {
    const authored = authoredPolicies(createRandom(SEED + i), [`${port}`, '9999']);
    return {
      authored,
      program: compileProgram(compileAuthored(authored), { defaultAction: 'allow' }),
      filters: {
        deny: istioRbac(authored, 'DENY', DOMAINS),
        allow: istioRbac(authored, 'ALLOW', DOMAINS),
      },
    };
  });
  const envoy = await startOracleEnvoy(
    BINARY ?? '',
    port,
    sets.map(({ filters }) => filters),
  );
  context.after(() => envoy.close());
  const seen = { allow: 0, deny: 0, stricter: 0 };
  for (const [i, { authored, program }] of sets.entries()) {
    const random = createRandom(SEED + 1_000_000 + i);
    for (const connection of CONNECTIONS) {
      const requests = Array.from({ length: REQUESTS_PER_CONNECTION }, () => oracleRequest(random));
      for (const asked of requests) {
        const status = await envoy.ask(i, connection, asked);
        const question = oracleQuestion(connection, asked, port);
        if (question === undefined) {
          // Deliberately stricter, whatever Envoy says: istio-differences.md, ambiguous paths.
          seen.stricter++;
          continue;
        }
        const { verdict } = decide(program, question);
        const about = () => JSON.stringify({ status, connection, asked, authored });
        assert.ok(status === 200 || status === 403, about());
        assert.equal(verdict, status === 200 ? 'allow' : 'deny', about());
        seen[verdict]++;
      }
    }
  }
  context.diagnostic(JSON.stringify(seen));
  assert.ok(seen.allow > SETS && seen.deny > SETS && seen.stricter > 0, JSON.stringify(seen));
});
