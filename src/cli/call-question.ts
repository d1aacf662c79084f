import { type CheckInput, checkCall, parseCaller } from '#compile';
import { fail, type Result } from '#lib';
import type { Explanation } from '#policy';
import type { PolicySource } from './policy-sources.ts';

/** A call as flags or a batch line name it. */
export type CallQuestion = {
  readonly from?: string | undefined;
  readonly to: string;
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly port?: number | undefined;
  readonly sourceIp?: string | undefined;
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
    sni: question.sni,
    labels: question.labels,
    nowMs,
  });
}

function requestOf(question: CallQuestion): CheckInput['request'] {
  const { method, path, headers } = question;
  if (method === undefined && path === undefined && headers === undefined) return undefined;
  const host = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'host')?.[1];
  return { method: method ?? 'GET', path: path ?? '/', host };
}
