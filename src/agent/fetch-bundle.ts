import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import {
  type Bundle,
  parseSpiffeBundle,
  type SpiffeBundle,
  type TrustDomain,
  verifyX509Svid,
} from '#identity';
import { fail, ok, type Result } from '#lib';
import { peerChain } from '#wire';

/** How a bundle endpoint proves itself (SPIFFE Federation 5.2). */
export type EndpointProof =
  | {
      readonly kind: 'web';
      /** PEM, besides the system's; for tests. */
      readonly extraRoots?: readonly string[] | undefined;
    }
  | {
      readonly kind: 'spiffe';
      readonly spiffeId: string;
      /** Of the endpoint's own trust domain. */
      readonly bundle: Bundle;
    };

/** A bundle endpoint to ask. */
export type EndpointQuestion = {
  readonly url: string;
  readonly trustDomain: TrustDomain;
  readonly proof: EndpointProof;
  readonly clock: () => number;
  /** For the whole exchange, 10,000 unless told. */
  readonly timeoutMs?: number;
};

/** A bundle with the document it was read from. */
export type FetchedBundle = { readonly bundle: SpiffeBundle; readonly document: string };

// SECURITY: the endpoint is somebody else's: what it sends is bounded in size, time and detours.
const MAX_BYTES = 1024 * 1024;
const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 3;

/** Asks a bundle endpoint once; fails in words. Never throws. */
export async function fetchBundle(
  question: EndpointQuestion,
): Promise<Result<FetchedBundle, string>> {
  const signal = AbortSignal.timeout(question.timeoutMs ?? TIMEOUT_MS);
  let { url } = question;
  for (let i = 0; i <= MAX_REDIRECTS; i++) {
    const answer = await ask(new URL(url), question, signal);
    if (!answer.ok) return answer;
    if (answer.value.kind === 'document') return parse(question.trustDomain, answer.value.bytes);
    const next = redirectTarget(url, answer.value.location);
    if (next === undefined) return fail('it redirects to what is no bundle endpoint');
    // Federation 5.2.1.4: the target has to prove the same; nothing of it is remembered.
    url = next;
  }
  return fail(`it redirects more than ${MAX_REDIRECTS} times`);
}

function parse(trustDomain: TrustDomain, bytes: Buffer): Result<FetchedBundle, string> {
  const bundle = parseSpiffeBundle(trustDomain, bytes);
  return bundle.ok ? ok({ bundle: bundle.value, document: bytes.toString('utf8') }) : bundle;
}

function redirectTarget(from: string, location: string): string | undefined {
  const url = URL.canParse(location, from) ? new URL(location, from) : undefined;
  const isEndpoint = url?.protocol === 'https:' && url.username === '' && url.password === '';
  return isEndpoint ? url.href : undefined;
}

type Answer =
  | { readonly kind: 'document'; readonly bytes: Buffer }
  | { readonly kind: 'redirect'; readonly location: string };

async function ask(
  url: URL,
  question: EndpointQuestion,
  signal: AbortSignal,
): Promise<Result<Answer, string>> {
  let socket: TLSSocket | undefined;
  try {
    socket = await dial(url, question, signal);
    const response = await send(url, socket, signal);
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      return ok({ kind: 'redirect', location: headers.location });
    }
    if (statusCode !== 200) return fail(`it answers with status ${statusCode}`);
    const bytes = await readAll(response);
    return bytes === undefined
      ? fail(`its answer has more than ${MAX_BYTES} bytes`)
      : ok({ kind: 'document', bytes });
  } catch (error) {
    if (signal.aborted) return fail('it does not answer in time');
    return fail(error instanceof Error ? error.message : String(error));
  } finally {
    socket?.destroy();
  }
}

/** A TLS connection whose peer is the endpoint; rejects otherwise, before anything is sent. */
function dial(
  url: URL,
  { proof, clock }: EndpointQuestion,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isName = !/^[\d.]+$|:/.test(host);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      ...(isName ? { servername: host } : {}),
      ...tlsOptionsOf(proof),
    });
    signal.addEventListener('abort', () => socket.destroy(new Error('time is up')), { once: true });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const problem = proof.kind === 'spiffe' ? svidProblem(socket, proof, clock()) : undefined;
      if (problem === undefined) resolve(socket);
      else socket.destroy(new Error(problem));
    });
  });
}

function tlsOptionsOf(proof: EndpointProof) {
  // SECURITY: OpenSSL knows no SPIFFE; `svidProblem` verifies the peer before a byte is sent or read.
  if (proof.kind === 'spiffe') return { rejectUnauthorized: false };
  return proof.extraRoots === undefined ? {} : { ca: [...proof.extraRoots] };
}

function svidProblem(
  socket: TLSSocket,
  proof: EndpointProof & { readonly kind: 'spiffe' },
  nowMs: number,
): string | undefined {
  const svid = verifyX509Svid(peerChain(socket), proof.bundle, nowMs);
  if (!svid.ok) return `its certificate: ${svid.error.message}`;
  if (svid.value.id.text === proof.spiffeId) return undefined;
  return `it is \`${svid.value.id.text}\` instead of \`${proof.spiffeId}\``;
}

function send(url: URL, socket: TLSSocket, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(url, {
      signal,
      // Without an agent of its own, this connection alone, which is verified, is used.
      createConnection: () => socket,
      headers: { accept: 'application/json' },
    });
    call.once('response', resolve);
    call.once('error', reject);
    call.end();
  });
}

async function readAll(response: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += (chunk as Buffer).length;
    if (length > MAX_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
