import { type CheckInput, checkCall, parseCaller } from '#compile';
import { ATTESTATION_STRENGTHS } from '#identity';
import { fail, parseIp, type Result } from '#lib';
import type { Explanation } from '#policy';
import type { PolicySource } from '../../policy-sources.ts';

/** A call as flags or a batch line name it. */
export type CallQuestion = {
  readonly from?: string | undefined;
  readonly to: string;
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  /** By name, a header's lines as a list. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** The payload of the end user's token, taken as valid. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  readonly port?: number | undefined;
  readonly sourceIp?: string | undefined;
  readonly remoteIp?: string | undefined;
  readonly destinationIp?: string | undefined;
  /** How strongly the caller was attested. */
  readonly attestation?: string | undefined;
  readonly sni?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** ISO 8601; default now. */
  readonly at?: string | undefined;
};

/** Answers one question with the proxy's own engine; the error says what in the question cannot be read. */
export function answerCall(
  source: PolicySource,
  question: CallQuestion,
  namespace: string,
): Result<Explanation, string> {
  const from = parseCaller(question.from, namespace, source.trustDomain);
  if (!from.ok) return from;
  const odd = oddValue(question);
  if (odd !== undefined) return fail(odd);
  const nowMs = question.at === undefined ? Date.now() : Date.parse(question.at);
  if (Number.isNaN(nowMs))
    return fail(`\`${question.at}\` is not a time: write for example 2026-01-31T12:00:00Z`);
  return checkCall({
    sets: source.sets,
    trustDomain: source.trustDomain,
    from: from.value,
    to: question.to,
    namespace,
    request: requestOf(question),
    port: question.port,
    sourceIp: question.sourceIp,
    remoteIp: question.remoteIp,
    destinationIp: question.destinationIp,
    attestation: question.attestation,
    sni: question.sni,
    labels: question.labels,
    nowMs,
  });
}

// A policy that speaks of addresses would quietly not match one that is none.
function oddValue(question: CallQuestion): string | undefined {
  const { sourceIp, remoteIp, destinationIp, attestation } = question;
  const address = [sourceIp, remoteIp, destinationIp].find(
    (text) => text !== undefined && parseIp(text) === undefined,
  );
  if (address !== undefined) return `\`${address}\` is not an IPv4 or IPv6 address`;
  if (
    attestation === undefined ||
    ATTESTATION_STRENGTHS.some((strength) => strength === attestation)
  )
    return undefined;
  return `\`${attestation}\` is no strength of attestation: use one of ${ATTESTATION_STRENGTHS.join(', ')}`;
}

function requestOf(question: CallQuestion): CheckInput['request'] {
  const { method, path, headers, claims } = question;
  const isRequest = [method, path, headers, claims].some((part) => part !== undefined);
  if (!isRequest) return undefined;
  const named = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'host')?.[1];
  const host = typeof named === 'string' ? named : named?.[0];
  return { method: method ?? 'GET', path: path ?? '/', host, headers, claims };
}
