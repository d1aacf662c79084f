import { fail, ok, type Result } from '#lib';
import { MAX_JWKS_BYTES } from '#token';

/**
 * Fetches a JWKS. The whole answer has to come within `timeoutMs` and hold at most half a mebibyte.
 * SECURITY: a redirect is an answer like any other that is not 200; keys are at the address that
 * policy names and was signed, and nowhere else.
 */
export async function fetchJwks(uri: string, timeoutMs: number): Promise<Result<string, string>> {
  // Loaded where keys are fetched only: an HTTP client costs a sidecar megabytes.
  const client = uri.startsWith('https:') ? await import('node:https') : await import('node:http');
  return new Promise((resolve) => {
    const request = client.get(
      uri,
      {
        agent: false,
        // RFC 8414 section 3 asks for JSON; an encoding could unfold a little into a lot.
        headers: {
          accept: 'application/jwk-set+json, application/json',
          'accept-encoding': 'identity',
        },
        signal: AbortSignal.timeout(timeoutMs),
        maxHeaderSize: 16 * 1024,
      },
      (response) => {
        const refuse = (why: string): void => {
          resolve(fail(why));
          response.destroy();
        };
        const { statusCode, headers } = response;
        if (statusCode !== 200) return refuse(`it answers with status ${statusCode}`);
        if (headers['content-encoding'] !== undefined) return refuse('its answer is encoded');
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_JWKS_BYTES)
            return refuse(`its answer is larger than ${MAX_JWKS_BYTES} bytes`);
          chunks.push(chunk);
        });
        response.on('end', () => resolve(ok(Buffer.concat(chunks).toString('utf8'))));
        response.on('error', (error) => resolve(fail(reasonOf(error, timeoutMs))));
        response.on('aborted', () => resolve(fail('its answer broke off')));
      },
    );
    request.on('error', (error) => resolve(fail(reasonOf(error, timeoutMs))));
  });
}

function reasonOf(error: Error, timeoutMs: number): string {
  const isLate = error.name === 'AbortError' || error.name === 'TimeoutError';
  return isLate ? `it did not answer within ${timeoutMs} ms` : error.message;
}
