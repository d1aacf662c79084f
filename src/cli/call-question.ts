import { type CheckInput, checkCall } from '#compile';
import { parseSpiffeId, type SpiffeId, type TrustDomain, workloadSpiffeId } from '#identity';
import { fail, ok, type Result } from '#lib';
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
  const from = callerNamed(question.from, namespace, source.trustDomain);
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

/** `web`, `ns/web` or a whole SPIFFE ID (with or without `spiffe://`); nothing is a caller without identity. */
export function callerNamed(
  text: string | undefined,
  namespace: string,
  trustDomain: TrustDomain,
): Result<SpiffeId | undefined, string> {
  if (text === undefined) return ok(undefined);
  if (text.startsWith('spiffe://')) return parseSpiffeId(text);
  if (text.includes('/ns/')) return parseSpiffeId(`spiffe://${text}`);
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0)
    return fail(`\`${text}\` names no caller: write web, shop/web or a SPIFFE ID`);
  const id =
    second === undefined
      ? workloadSpiffeId(trustDomain, namespace, first)
      : workloadSpiffeId(trustDomain, first, second);
  return parseSpiffeId(id.text);
}

function requestOf(question: CallQuestion): CheckInput['request'] {
  const { method, path, headers } = question;
  if (method === undefined && path === undefined && headers === undefined) return undefined;
  const host = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'host')?.[1];
  return { method: method ?? 'GET', path: path ?? '/', host };
}
