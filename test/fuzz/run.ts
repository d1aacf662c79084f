// `npm run fuzz [-- TARGET [SEED]]`: fuzzes one parser, or all in turns, until it is stopped or something breaks.
import { createRandom, mutate, shrink } from './mutate.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets.ts';

const TURN_MS = 5_000;
const [wanted, seedText] = process.argv.slice(2);
const chosen = TARGETS.filter(({ name }) => wanted === undefined || name === wanted);
if (chosen.length === 0) {
  console.error(`no target is called \`${wanted}\``);
  console.error(`  help: ${TARGETS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const seed = seedText === undefined ? Date.now() % 1_000_000_000 : Number(seedText);
const random = createRandom(seed);
console.log(`seed ${seed}; Ctrl-C ends`);
for (;;) for (const target of chosen) turn(target);

/** Fuzzes for a while; ends the process with the smallest input found when a property breaks. */
function turn({ name, seeds, tokens, run }: FuzzTarget): void {
  const until = performance.now() + TURN_MS;
  let cases = 0;
  while (performance.now() < until) {
    const bytes = mutate(seeds, tokens, random);
    cases++;
    const problem = problemOf(run, bytes);
    if (problem === undefined) continue;
    const smallest = shrink(bytes, (shorter) => problemOf(run, shorter) !== undefined);
    console.error(`${name} (seed ${seed}): ${problemOf(run, smallest)}`);
    console.error(`  as text: ${JSON.stringify(smallest.toString('latin1'))}`);
    console.error(`  as hex:  ${smallest.toString('hex')}`);
    console.error(`  help: add it to the seeds of test/fuzz/targets/${name}.ts, then fix it`);
    process.exit(1);
  }
  console.log(`${name} ${Math.round(cases / (TURN_MS / 1000))} cases/s`);
}

function problemOf(run: FuzzTarget['run'], bytes: Buffer): string | undefined {
  try {
    run(bytes);
    return undefined;
  } catch (cause) {
    return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  }
}
