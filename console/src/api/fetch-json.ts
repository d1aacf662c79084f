import { parsePlainJson } from '../words/plain-text.ts';

/** Why the API gave no answer. `code` is the API's own, `unreachable`, or `unreadable`. */
export type ApiFailure = {
  readonly status: number;
  readonly code: string;
  readonly sentence: string;
};

/** An answer, or why there is none. */
export type ApiAnswer<T> =
  | { readonly kind: 'answer'; readonly data: T }
  | { readonly kind: 'failure'; readonly failure: ApiFailure };

const BASE = '/api/v1';
const TIMEOUT_MS = 10_000;

/**
 * Reads one answer of the API. `path` begins with `/` and is below `/api/v1`; a `question` is posted as
 * JSON, which the console may do where nothing is changed by it. The cookie of the sign-in goes along
 * because the request is same-origin. Never throws.
 */
export async function fetchJson<T>(path: string, question?: unknown): Promise<ApiAnswer<T>> {
  const asked =
    question === undefined
      ? { headers: { accept: 'application/json' } }
      : {
          method: 'POST',
          headers: { accept: 'application/json', 'content-type': 'application/json' },
          body: JSON.stringify(question),
        };
  let response: Response;
  try {
    response = await fetch(`${BASE}${path}`, {
      ...asked,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    // Refused, reset and timed out look the same to a page, and to its reader.
    return failure(0, 'unreachable', 'the control plane does not answer');
  }
  try {
    if (response.ok) return { kind: 'answer', data: parsePlainJson(await response.text()) as T };
    const problem = parsePlainJson(await response.text()) as {
      code?: string;
      detail?: string;
      title?: string;
    };
    const sentence = problem.detail ?? problem.title ?? `the control plane said ${response.status}`;
    return failure(response.status, problem.code ?? 'unknown', sentence);
  } catch {
    // A body that is no JSON comes from something between us and the API.
    return failure(response.status, 'unreadable', `an answer (${response.status}) that is no JSON`);
  }
}

function failure(status: number, code: string, sentence: string): ApiAnswer<never> {
  return { kind: 'failure', failure: { status, code, sentence } };
}
