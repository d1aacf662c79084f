import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { derToPem, parseTrustDomain, verifyX509Svid } from '#identity';
import { certificateChain } from '#lib';
import type { TrustRoot } from '#trust';
import type { DataFolder } from './data-folder.ts';
import { readTrustRoot } from './trust-root-file.ts';

/** An answer of the API that is not what was asked for, or none at all. */
export class ApiError extends Error {
  /** HTTP status; 0 when the API could not be reached. */
  readonly status: number;
  /** The problem's stable code, e.g. `parent_moved`; `unreachable` or `timed_out` without an answer. */
  readonly code: string;
  /** The whole problem document. */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    message: string,
    problem: Record<string, unknown> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.problem = problem;
  }
}

/** The control plane has no such route: it is older or newer than whoever asked. */
export class UnknownRouteError extends ApiError {
  /** As in `GET /api/v1/horizon`. */
  readonly route: string;
  readonly server: string;
  /** The control plane's version; undefined where it did not say. */
  readonly serverVersion: string | undefined;

  constructor(of: {
    readonly answer: ApiError;
    readonly route: string;
    readonly server: string;
    readonly serverVersion: string | undefined;
  }) {
    super(of.answer.status, 'no_such_route', of.answer.message, { ...of.answer.problem });
    this.route = of.route;
    this.server = of.server;
    this.serverVersion = of.serverVersion;
  }
}

/** The control plane's HTTP API, over mutual TLS with the data folder's client certificate. */
export type ApiClient = {
  /** Calls `path` below `/api/v1` and resolves to the JSON answer; rejects with `ApiError`. */
  readonly call: <T>(method: string, path: string, options?: CallOptions) => Promise<T>;
  /** The same for answers that are not JSON, as text. */
  readonly callText: (method: string, path: string, options?: CallOptions) => Promise<string>;
  /** Follows a server-sent event stream, from behind the event `lastEventId` where that is given; resolves when it ends. */
  readonly watch: (path: string, onEvent: OnEvent, lastEventId?: string) => Promise<void>;
  readonly server: string;
};

/** Told of each server-sent event. */
type OnEvent = (event: string, data: unknown) => void;

type CallOptions = {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 15_000;
const VERSION_TIMEOUT_MS = 3_000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** Creates a client of the API at `server`, known by its SPIFFE ID under `trustRoot`. */
export function createApiClient(options: {
  readonly server: string;
  readonly folder: DataFolder;
  readonly trustRoot: TrustRoot;
}): ApiClient {
  const tls = createTlsOptions(options.folder, options.trustRoot);
  const open = (method: string, path: string, call: CallOptions) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const url = new URL(`/api/v1${path}`, options.server);
      const body = call.body === undefined ? undefined : JSON.stringify(call.body);
      const headers = { accept: 'application/json', ...contentHeaders(body), ...call.headers };
      const request = httpsRequest(url, { ...tls(), method, headers, agent: false }, resolve);
      request.on('error', (error) => reject(unreachable(options.server, error)));
      request.setTimeout(call.timeoutMs ?? TIMEOUT_MS, () => {
        const error = new ApiError(0, 'timed_out', `\`${options.server}\` did not answer in time`);
        reject(error);
        request.destroy(error);
      });
      request.end(body);
    });

  async function textOf(method: string, path: string, call: CallOptions): Promise<string> {
    const response = await open(method, path, call);
    const text = await readAll(response);
    if ((response.statusCode ?? 500) >= 400) throw problemOf(response.statusCode ?? 500, text);
    return text;
  }

  async function callText(method: string, path: string, call: CallOptions = {}): Promise<string> {
    try {
      return await textOf(method, path, call);
    } catch (error) {
      const route = `${method} ${new URL(`/api/v1${path}`, options.server).pathname}`;
      if (!(error instanceof ApiError) || !isUnknownRoute(error, route)) throw error;
      const mesh = await textOf('GET', '/mesh', { timeoutMs: VERSION_TIMEOUT_MS }).catch(() => '');
      const serverVersion = versionIn(mesh);
      throw new UnknownRouteError({ answer: error, route, server: options.server, serverVersion });
    }
  }

  return {
    server: options.server,
    callText,
    async call<T>(method: string, path: string, call: CallOptions = {}) {
      const text = await callText(method, path, call);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async watch(path, onEvent, lastEventId) {
      const resumed = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const headers = { accept: 'text/event-stream', ...resumed };
      const response = await open('GET', path, { headers, timeoutMs: 0 });
      if (response.statusCode !== 200)
        throw problemOf(response.statusCode ?? 500, await readAll(response));
      await readEvents(response, onEvent);
    },
  };
}

/** The options of now: a rotation of the authority writes successors of the trust root into the folder. */
function createTlsOptions(folder: DataFolder, trustRoot: TrustRoot) {
  let held = tlsOptionsOf(folder, trustRoot);
  let { version } = trustRoot;
  let writtenAt = writeTimeOf(folder.trustRoot);
  return () => {
    const now = writeTimeOf(folder.trustRoot);
    if (now === writtenAt) return held;
    writtenAt = now;
    const newest = readTrustRoot(folder);
    if (newest.ok && newest.value.version > version) {
      version = newest.value.version;
      held = tlsOptionsOf(folder, newest.value);
    }
    return held;
  };
}

function writeTimeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function tlsOptionsOf(folder: DataFolder, trustRoot: TrustRoot) {
  const roots = trustRoot.x509Roots.map((root) => Buffer.from(root, 'base64'));
  return {
    key: readFileSync(folder.admin.key),
    cert: readFileSync(folder.admin.certificate),
    ca: roots.map((der) => derToPem(der)),
    minVersion: 'TLSv1.3' as const,
    // SECURITY: the API is known by its SPIFFE ID, not by the name or address that was dialled.
    checkServerIdentity: (_host: string, certificate: { raw: Buffer }) =>
      serverIdentityProblem(certificateChain(certificate), trustRoot, roots),
  };
}

function serverIdentityProblem(
  chain: readonly Uint8Array[],
  trustRoot: TrustRoot,
  roots: readonly Buffer[],
): Error | undefined {
  const trustDomain = parseTrustDomain(trustRoot.trustDomain);
  if (!trustDomain.ok) return new Error(trustDomain.error);
  const bundle = {
    trustDomain: trustDomain.value,
    x509Roots: roots.map((der) => new X509Certificate(der)),
  };
  const peer = verifyX509Svid(chain, bundle, Date.now());
  if (!peer.ok) return new Error(peer.error.message);
  const expected = `spiffe://${trustRoot.trustDomain}/palisade/control`;
  return peer.value.id.text === expected
    ? undefined
    : new Error(`the server is \`${peer.value.id.text}\`, not \`${expected}\``);
}

function contentHeaders(body: string | undefined): Record<string, string> {
  if (body === undefined) return {};
  return { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
}

/** What Node.js says in codes or in OpenSSL's words. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EPROTO: 'what listens there is no control plane: it speaks no TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there is no control plane: it speaks no TLS',
};

function unreachable(server: string, error: Error): ApiError {
  if (error instanceof ApiError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const reason = REASONS[code ?? ''] ?? error.message.toLowerCase();
  return new ApiError(
    0,
    'unreachable',
    `cannot reach the control plane at \`${server}\`: ${reason}`,
  );
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES)
      throw new ApiError(0, 'too_large', 'the answer is larger than 256 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function problemOf(status: number, text: string): ApiError {
  try {
    const problem = JSON.parse(text) as Record<string, unknown>;
    const detail = problem['detail'] ?? problem['title'] ?? `status ${status}`;
    return new ApiError(status, String(problem['code'] ?? 'error'), String(detail), problem);
  } catch {
    return new ApiError(status, 'error', `the control plane answered status ${status}`);
  }
}

// Of a name that is not there the control plane speaks otherwise than of a route; what answers without a problem document
// is a page of something else.
function isUnknownRoute({ status, code, message }: ApiError, route: string): boolean {
  if (status === 405) return true;
  return (
    status === 404 && (code === 'error' || message === `there is no \`${route.slice(0, 200)}\``)
  );
}

function versionIn(mesh: string): string | undefined {
  try {
    const { version } = JSON.parse(mesh) as { readonly version?: unknown };
    return typeof version === 'string' && version !== '' ? version : undefined;
  } catch {
    // No control plane, or none that says.
    return undefined;
  }
}

async function readEvents(response: IncomingMessage, onEvent: OnEvent): Promise<void> {
  response.setEncoding('utf8');
  let pending = '';
  for await (const chunk of response as AsyncIterable<string>) {
    pending += chunk;
    const blocks = pending.split('\n\n');
    pending = blocks.pop() ?? '';
    for (const block of blocks) emitEvent(block, onEvent);
  }
}

function emitEvent(block: string, onEvent: OnEvent): void {
  const lines = block.split('\n');
  const field = (name: string) =>
    lines
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trimStart())
      .join('\n');
  const data = field('data');
  if (data !== '') onEvent(field('event') || 'message', JSON.parse(data));
}
