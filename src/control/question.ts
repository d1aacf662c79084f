import { checkCall, type ResourceSets } from '#compile';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '#identity';
import { fail, ok, type Result } from '#lib';
import type { Explanation } from '#policy';
import type { AccessRecord } from '#telemetry';
import type { ResourceView } from './resource-sets.ts';

/** A recorded call judged again: as it was then, and by what is in force now. */
export type Reconsidered = {
  readonly explanation: Explanation;
  readonly evaluatedAt: Readonly<Record<string, number>>;
  /** False where a version of then is not in the history; the present one stood in. */
  readonly exact: boolean;
  readonly changedSince: boolean;
  readonly now: Explanation;
};

/** Judges a recorded call by the policy versions it was decided by, and by the present ones. */
export function reconsider(
  record: AccessRecord,
  resources: ResourceView,
  trustDomain: TrustDomain,
  nowMs: number,
): Result<Reconsidered, string> {
  const versions = parseVersions(record.policy_version);
  const then = resources.at(versions);
  const now = resources.now();
  const explanation = ask(record, then.sets, trustDomain, Date.parse(record.time));
  if (!explanation.ok) return explanation;
  const present = ask(record, now, trustDomain, nowMs);
  if (!present.ok) return present;
  return ok({
    explanation: explanation.value,
    evaluatedAt: Object.fromEntries(versions),
    exact: then.exact,
    changedSince: [...versions].some(
      ([namespace, number]) => now.get(namespace)?.number !== number,
    ),
    now: present.value,
  });
}

/** The versions in a record's `policy_version`, e.g. `default@12 palisade-system@3`, by namespace. */
export function parseVersions(text: string | null): ReadonlyMap<string, number> {
  const versions = new Map<string, number>();
  for (const part of (text ?? '').split(' ')) {
    const [, namespace, number] = /^([a-z0-9-]{1,63})@(\d{1,15})$/.exec(part) ?? [];
    if (namespace !== undefined) versions.set(namespace, Number(number));
  }
  return versions;
}

function ask(
  record: AccessRecord,
  sets: ResourceSets,
  trustDomain: TrustDomain,
  nowMs: number,
): Result<Explanation, string> {
  const namespace = record['destination.namespace'];
  const service = record['destination.service'];
  if (namespace === null || service === null) return fail('the record names no service');
  const from = callerOf(record);
  if (!from.ok) return from;
  const question = {
    sets,
    trustDomain,
    from: from.value,
    to: `${namespace}/${service}`,
    namespace,
    request: requestOf(record),
    sourceIp: record['source.ip'] ?? undefined,
    sni: record['connection.sni'] ?? undefined,
    nowMs,
  };
  const asked = checkCall({ ...question, port: record['destination.port'] || undefined });
  // The port may have left the Service since; the call is then judged on the one there is.
  const answer = asked.ok ? asked : checkCall(question);
  if (!answer.ok) return answer;
  if (record.reason === 'token_invalid') return ok(tokenRefused(answer.value));
  return ok(providerRefused(answer.value, record));
}

/** Of a call that a CUSTOM policy's provider kept back the policies know nothing: they would let it pass. */
function providerRefused(explanation: Explanation, record: AccessRecord): Explanation {
  const { reason } = record;
  const asked = explanation.considered.find(
    ({ action, matched, policy }) => action === 'CUSTOM' && matched && policy === record.policy,
  );
  const isKnown = reason === 'policy_denied' || reason === 'cannot_decide';
  if (record.verdict !== 'deny' || asked === undefined || !isKnown) return explanation;
  const { policy } = asked;
  const sentence =
    reason === 'cannot_decide'
      ? `no policy can help: the provider that \`${policy}\` asks gave no answer; see whether it runs and can be reached`
      : `no policy of this mesh can help: the provider that \`${policy}\` asks said no, and knows why`;
  const rule = asked.rules.find(({ matched }) => matched)?.rule;
  return {
    ...explanation,
    decision: { ...explanation.decision, verdict: 'deny', reason, policy, rule },
    smallestChange: { kind: 'none', sentence },
  };
}

/** What was wrong with the token, or that none came, is in the sidecar's metrics; policies are shown. */
function tokenRefused(explanation: Explanation): Explanation {
  const sentence =
    'no policy can help: the user’s token is missing, not valid, or not for this service; let the user sign in, or compare the RequestAuthentication with who issued it';
  return {
    ...explanation,
    decision: {
      ...explanation.decision,
      verdict: 'deny',
      reason: 'token_invalid',
      policy: undefined,
      rule: undefined,
    },
    smallestChange: { kind: 'none', sentence },
  };
}

function callerOf(record: AccessRecord): Result<SpiffeId | undefined, string> {
  const text = record['source.id'];
  return text === null ? ok(undefined) : parseSpiffeId(text);
}

function requestOf({ kind, method, path, host }: AccessRecord) {
  if (kind === 'tcp' || method === null) return undefined;
  return { method, path: path ?? '/', host: host ?? undefined };
}
