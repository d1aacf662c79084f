import assert from 'node:assert/strict';
import { Session } from 'node:inspector/promises';
import { test } from 'node:test';
import { compileProgram, decide, type Program } from './program.ts';
import type { Question } from './question.ts';
import { policy, request, rule } from './testing/policies.ts';

const WARM_UP = 150_000;
const DECISIONS = 100_000;

/** Conditions of every kind, so that each index is asked. */
function program(): Program {
  const rules = Array.from({ length: 50 }, (_, i) => [
    rule(
      { principal: [`cluster.local/ns/default/sa/s${i}`, `*/sa/t${i}`] },
      { path: [`/a${i}/*`] },
    ),
    rule({ namespace: [`n${i}`, 'd*'] }, { path: [`/x/{*}/r${i}`], method: ['GET'] }),
    rule(
      { serviceAccount: [`default/s${i}`] },
      { host: [`h${i}.example`, '*.test'], port: ['80'] },
    ),
    rule({ ip: [`10.${i}.0.0/16`, `fd00:${i}::/32`] }, { path: [`*.p${i}`, `/b${i}`] }),
  ]).flat();
  // One that reads the clock, so that no decision is remembered.
  const always = rule({ time: ['00:00-23:59'] }, { path: ['/never'] });
  return compileProgram([policy('p', 'ALLOW', [...rules, always])], { defaultAction: 'deny' });
}

function questions(): readonly Question[] {
  return Array.from({ length: 4_000 }, (_, i) => {
    const path = ['/a7/', '/x/y/r7', '/b', '/z.p7'][i % 4];
    const asked = request(`s${i % 4 === 0 ? 7 : i % 60}`, `GET ${path}`);
    return { ...asked, source: { ...asked.source, ip: i % 2 === 0 ? '10.7.0.1' : 'fd00:7::1' } };
  });
}

test('decisions allocate nothing', async () => {
  const compiled = program();
  const asked = questions();
  const run = (count: number): number => {
    let allowed = 0;
    for (let i = 0; i < count; i++) {
      const question = asked[i % asked.length];
      if (question !== undefined && decide(compiled, question).verdict === 'allow') allowed++;
    }
    return allowed;
  };
  run(WARM_UP);
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 1_024,
    includeObjectsCollectedByMinorGC: true,
  });
  const allowed = run(DECISIONS);
  assert.ok(allowed > 1_000, `${allowed} allowed`);
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const bytes = allocated(profile.head) / DECISIONS;
  // A decision that makes a single object would be 24 at least; what is left are numbers that code not yet optimized boxes.
  assert.ok(bytes < 20, `${bytes} bytes a decision`);
});

type Sampled = {
  readonly selfSize: number;
  readonly callFrame: { readonly url: string };
  readonly children: readonly Sampled[];
};

/** Bytes that code of this folder allocated. */
function allocated({ selfSize, callFrame, children }: Sampled): number {
  const own = callFrame.url.includes('/src/policy/') ? selfSize : 0;
  return own + children.reduce((sum, child) => sum + allocated(child), 0);
}
