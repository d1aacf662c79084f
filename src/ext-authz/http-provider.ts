import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ConsultRequest } from '#proxy';
import { type ProviderClient, ProviderError } from './provider-client.ts';

// What a provider says besides its status is of no use here, but has to be read to the end.
const MAX_BODY_BYTES = 64 * 1024;
const MAX_SOCKETS = 64;

/**
 * Envoy's HTTP variant: a copy of the request's head without its body, 200 meaning yes, 5xx that the
 * provider is in trouble, anything else no.
 */
export class HttpProvider implements ProviderClient {
  readonly #agent = new PipeAgent();

  ask(request: ConsultRequest, signal: AbortSignal): Promise<'allow' | 'deny'> {
    const { provider, question } = request;
    const { request: asked } = question;
    if (asked === undefined) return Promise.reject(new ProviderError('http_only'));
    this.#agent.connect = request.connect;
    return new Promise((resolve, reject) => {
      const message = httpRequest({
        agent: this.#agent,
        method: asked.method,
        path: `${provider.pathPrefix}${asked.path}`,
        headers: headersOf(request, asked.host),
        // Without a body, whatever the method.
        setHost: false,
        signal,
        maxHeaderSize: 16 * 1024,
      });
      message.on('response', (response) => {
        readToEnd(response).then(() => resolve(verdictOf(response.statusCode ?? 0)), reject);
      });
      message.on('upgrade', () => reject(new ProviderError('bad_answer')));
      message.on('error', (error: NodeJS.ErrnoException) => {
        if (error instanceof ProviderError) return reject(error);
        const isGarbage = error.code?.startsWith('HPE_') ?? false;
        reject(new ProviderError(isGarbage ? 'bad_answer' : 'unreachable'));
      });
      message.end();
    }).then((verdict) => {
      if (verdict === 'failed') throw new ProviderError('failed');
      return verdict as 'allow' | 'deny';
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function verdictOf(status: number): 'allow' | 'deny' | 'failed' {
  if (status === 200) return 'allow';
  return status >= 500 ? 'failed' : 'deny';
}

function headersOf(request: ConsultRequest, host: string): Record<string, string | string[]> {
  const { provider, headers } = request;
  const sent: Record<string, string | string[]> = { host, 'content-length': '0' };
  for (const name of ['authorization', ...provider.copiedHeaders]) {
    const values = headers.values(name);
    if (values.length > 0) sent[name] = [...values];
  }
  // SECURITY: what the mesh adds wins over what the caller wrote.
  for (const [name, value] of Object.entries(provider.addedHeaders))
    sent[name.toLowerCase()] = value;
  return sent;
}

function readToEnd(response: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) response.destroy(new ProviderError('too_large'));
    });
    response.on('end', resolve);
    response.on('error', (error) =>
      reject(error instanceof ProviderError ? error : new ProviderError('unreachable')),
    );
  });
}

/** Keeps connections that are made by the proxy's own dialling. */
class PipeAgent extends Agent {
  connect: (() => Promise<Duplex>) | undefined;

  constructor() {
    super({ keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 8 });
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    if (done !== undefined) void this.#open(done as (error: Error | null, stream?: Duplex) => void);
    return undefined;
  }

  async #open(done: (error: Error | null, stream?: Duplex) => void): Promise<void> {
    let stream: Duplex | undefined;
    try {
      stream = await this.connect?.();
    } catch {
      // Who could not be reached has not answered; the request ends with the error below.
    }
    if (stream === undefined) done(new Error('the provider cannot be reached'));
    else done(null, stream);
  }
}
