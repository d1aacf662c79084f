import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { SinkHttp } from '#resource';
import { type Outcome, outcomeOfStatus, parseRetryAfter, quoted, retry } from '../receiver.ts';
import { readHeaders, withoutSecrets } from '../secrets.ts';
import type { Surroundings } from '../surroundings.ts';
import { readTls } from '../tls.ts';

/** Posts bodies to one endpoint over connections that are kept. */
export type HttpClient = {
  readonly post: (request: PostRequest, signal: AbortSignal) => Promise<Posted>;
  readonly close: () => void;
};

/** One body; `path` goes after the endpoint's own. */
export type PostRequest = {
  readonly path?: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** What became of it, and the answer's body where it was good. */
export type Posted = { readonly outcome: Outcome; readonly body: Buffer };

// Nothing that a receiver says is worth more.
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_SOCKETS = 8;
const compress = promisify(gzip);

/** Creates a client; whatever goes wrong, a secret or a certificate that cannot be read included, is an outcome. */
export function createHttpClient(receiver: SinkHttp, surroundings: Surroundings): HttpClient {
  const url = new URL(receiver.endpoint);
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const agentOptions = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 2 };
  const agent = isTls ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
  const { guard, secrets, clock } = surroundings;

  async function post(request: PostRequest, signal: AbortSignal): Promise<Posted> {
    const headers = readHeaders(secrets, receiver.headers);
    if (!headers.ok) return nothing(retry(headers.error));
    const tls = isTls ? readTls(surroundings) : undefined;
    if (tls?.ok === false) return nothing(retry(tls.error));
    // Addresses need no look-up, so the guard of look-ups does not see them.
    const refused = isIP(host) === 0 ? undefined : guard.refuse(host, port);
    if (refused !== undefined) return nothing(retry(`not sent: ${refused}`));
    const isGzip = receiver.compression === 'gzip';
    const body = isGzip ? await compress(request.body) : request.body;
    const options = {
      agent,
      method: 'POST',
      host,
      port,
      path: `${url.pathname.replace(/\/$/, '')}${request.path ?? ''}` || '/',
      lookup: guard.lookup(port),
      signal,
      headers: {
        ...headers.value,
        ...request.headers,
        'user-agent': surroundings.userAgent,
        'content-type': request.contentType,
        'content-length': String(body.length),
        ...(isGzip ? { 'content-encoding': 'gzip' } : {}),
      },
    };
    const message = isTls
      ? httpsRequest({ ...options, ...tls?.value, ...serverName(surroundings, host) })
      : httpRequest(options);
    try {
      const response = await responseTo(message, body);
      const answer = await readAnswer(response);
      const detail = withoutSecrets(textOf(response, answer), headers.value);
      return { outcome: outcomeOf(response, quoted(detail), clock()), body: answer };
    } catch (error) {
      return nothing(retry(`not delivered: ${quoted(messageOf(error as Error))}`));
    }
  }

  return { post, close: () => agent.destroy() };
}

function nothing(outcome: Outcome): Posted {
  return { outcome, body: Buffer.alloc(0) };
}

function serverName({ tls }: Surroundings, host: string): { servername: string } {
  // RFC 6066 section 3: an address is no server name.
  return { servername: tls?.serverName ?? (isIP(host) === 0 ? host : '') };
}

function outcomeOf(response: IncomingMessage, answered: string, nowMs: number): Outcome {
  const status = response.statusCode ?? 0;
  // SECURITY: a redirect would lead where no guard and no author has looked.
  const detail = status >= 300 && status < 400 ? 'redirects are not followed' : answered;
  return outcomeOfStatus(status, detail, parseRetryAfter(response.headers['retry-after'], nowMs));
}

// Only what is text, and of that little: answers are shown to people.
function textOf({ headers }: IncomingMessage, answer: Buffer): string {
  const isText = /^(text\/plain|application\/(problem\+)?json)/.test(headers['content-type'] ?? '');
  return isText ? answer.subarray(0, 1024).toString('utf8') : '';
}

function responseTo(message: ClientRequest, body: Uint8Array): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    message.on('error', reject);
    message.on('response', resolve);
    message.end(body);
  });
}

function readAnswer(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error('the answer is too large'));
    });
    response.on('end', () => resolve(Buffer.concat(chunks)));
    response.on('error', reject);
    response.on('aborted', () => reject(new Error('the answer broke off')));
  });
}

function messageOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${code}: ${error.message}`;
}
