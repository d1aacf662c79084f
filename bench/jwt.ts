import { generateKeyPairSync, verify } from 'node:crypto';
import { createProxyMetrics, createSilentLog } from '#telemetry';
import { decodeToken, parseJwks, verifyToken } from '#token';
import { createFakeIssuer, fakeTokenRule } from '../src/proxy/fake-issuer.ts';
import { TokenStage } from '../src/proxy/token.ts';
import { TokenKeys } from '../src/proxy/token-keys.ts';

/**
 * Microseconds of CPU to verify a user's token: the whole stage of a sidecar for a token it has seen
 * (finding it in the request included), and for one it has not, beside the signature alone by `node:crypto`.
 * Tokens are cut out of bytes anew each time, as they come from the wire. Rounds take turns, so that
 * whatever else the machine does meets them alike; medians are told.
 */
export default async function run(): Promise<void> {
  const issuer = createFakeIssuer();
  const parsed = await parseJwks(issuer.jwks);
  if (!parsed.ok) throw new Error(parsed.error);
  const keys = parsed.value;
  const rule = fakeTokenRule(issuer);
  const rules = [rule];
  const claims = {
    aud: ['api'],
    scope: 'orders:read orders:write',
    email: 'ada@example.com',
    groups: ['a', 'b'],
  };
  const tokens = Array.from({ length: TOKENS }, (_, i) =>
    Buffer.from(issuer.token({ ...claims, jti: `${i}` })),
  );
  const stage = await warmStage(rule);
  const cases = {
    cached: (bytes: Buffer) => check(stage, rules, bytes),
    uncached: (bytes: Buffer) => {
      const decoded = decodeToken(bytes.toString('latin1'));
      return decoded.ok && verifyToken(decoded.value, rule, keys, Date.now()).ok;
    },
    alone: aloneWith(tokens, keys.keys[0]?.key ?? generateKeyPairSync('ed25519').publicKey),
  };
  for (const bytes of tokens) if (!cases.cached(bytes)) throw new Error('a token is refused');
  const measured = measure(cases, tokens);
  console.log('case                                    us/token');
  for (const name of Object.keys(WORDS) as Name[]) {
    console.log(`${WORDS[name].padEnd(38)}${measured[name].toFixed(2).padStart(10)}`);
  }
  const { ratio } = measured;
  console.log(`jwt cached ${measured.cached.toFixed(2)} us`);
  console.log(`jwt ${ratio.toFixed(2)} ratio`);
}

type Name = 'cached' | 'uncached' | 'alone';

const WORDS: Readonly<Record<Name, string>> = {
  cached: 'seen before: the whole stage',
  uncached: 'new: read, verified (ES256), claims',
  alone: 'the signature alone, node:crypto',
};

const TOKENS = 500;
const ROUNDS = 15;
// The cheap case is repeated, so that a round of each takes long enough to be measured.
const REPEATS: Readonly<Record<Name, number>> = { cached: 40, uncached: 1, alone: 1 };

function measure(
  cases: Readonly<Record<Name, (bytes: Buffer) => boolean>>,
  tokens: readonly Buffer[],
): Record<Name | 'ratio', number> {
  const seen: Record<Name, number[]> = { cached: [], uncached: [], alone: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of Object.keys(cases) as Name[]) {
      const before = process.cpuUsage();
      for (let repeat = 0; repeat < REPEATS[name]; repeat++) {
        for (const bytes of tokens) if (!cases[name](bytes)) throw new Error(`${name}: refused`);
      }
      const { user, system } = process.cpuUsage(before);
      seen[name].push((user + system) / (tokens.length * REPEATS[name]));
    }
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  // Each round by itself: both met the same neighbours.
  const ratios = seen.uncached.map((us, round) => us / (seen.alone[round] ?? us));
  const { cached, uncached, alone } = seen;
  return {
    cached: median(cached),
    uncached: median(uncached),
    alone: median(alone),
    ratio: median(ratios),
  };
}

async function warmStage(rule: ReturnType<typeof fakeTokenRule>): Promise<TokenStage> {
  const workload = { service: 's', namespace: 'n', trustDomain: 't' };
  const keys = new TokenKeys({
    fetchText: () => Promise.resolve({ ok: false, error: 'nothing is fetched here' }),
    store: undefined,
    metrics: createProxyMetrics({ workload, clock: Date.now }),
    log: createSilentLog(),
    clock: Date.now,
  });
  const known = keys.of(rule.keys);
  await known.busy;
  return new TokenStage(keys);
}

function check(
  stage: TokenStage,
  rules: Parameters<TokenStage['check']>[0],
  bytes: Buffer,
): boolean {
  const fields = {
    value: () => undefined,
    valueOf: () => undefined,
    names: () => [],
    values: (name: string) =>
      name === 'authorization' ? [`Bearer ${bytes.toString('latin1')}`] : [],
  };
  const head = { method: 'GET', path: '/', target: '/', host: 'orders', fields };
  const outcome = stage.check(rules, { head, certificate: undefined, nowMs: Date.now() });
  return outcome.kind === 'pass' && outcome.claims !== undefined;
}

function aloneWith(
  tokens: readonly Buffer[],
  key: Parameters<typeof verify>[2],
): (bytes: Buffer) => boolean {
  const parts = new Map(
    tokens.map((bytes) => {
      const text = bytes.toString('latin1');
      const dot = text.lastIndexOf('.');
      return [
        bytes,
        [Buffer.from(text.slice(0, dot)), Buffer.from(text.slice(dot + 1), 'base64url')],
      ];
    }),
  );
  const options = { key, dsaEncoding: 'ieee-p1363' } as Parameters<typeof verify>[2];
  return (bytes) => {
    const [signed, signature] = parts.get(bytes) ?? [];
    return (
      signed !== undefined &&
      signature !== undefined &&
      verify('sha256', signed, options, signature)
    );
  };
}

if (import.meta.main) await run();
