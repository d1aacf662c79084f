import { createHash, createHmac } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import type { SinkWebhook } from '#resource';
import type { Evidence } from '../evidence.ts';
import { type Receiver, retry } from '../receiver.ts';
import { readSecret } from '../secrets.ts';
import type { Surroundings } from '../surroundings.ts';
import { createHttpClient } from './http-client.ts';

/** Writes a batch as the JSON body of one delivery. */
export type WriteBody = (batch: readonly Evidence[], deliveryId: string) => string;

/**
 * Posts batches, signed as Standard Webhooks 1.0.0 says: `webhook-id` stays the same when a batch is sent again,
 * `webhook-timestamp` is the time of the try, and each signature covers both and the body.
 */
export function createWebhook(
  webhook: SinkWebhook,
  surroundings: Surroundings,
  writeBody: WriteBody,
): Receiver {
  const client = createHttpClient(webhook, surroundings);
  const { signing } = webhook;
  const references =
    signing.previous === undefined ? [signing.secret] : [signing.secret, signing.previous];
  return {
    async deliver(batch, signal) {
      const keys: Buffer[] = [];
      for (const reference of references) {
        const key = readKey(surroundings, reference);
        if (!key.ok) return retry(key.error);
        keys.push(key.value);
      }
      const id = deliveryId(batch);
      const body = Buffer.from(writeBody(batch, id), 'utf8');
      const timestamp = String(Math.floor(surroundings.clock() / 1000));
      const signatures = keys.map((key) => sign(key, `${id}.${timestamp}.`, body));
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signatures.join(' '),
      };
      const request = { contentType: 'application/json', headers, body };
      return (await client.post(request, signal)).outcome;
    },
    close: client.close,
  };
}

/** Made of what is in the batch, so that a receiver knows one that it had, even after this process was killed. */
export function deliveryId(batch: readonly Evidence[]): string {
  const hash = createHash('sha256');
  for (const { kind, id } of batch) hash.update(`${kind} ${id}\n`);
  return `msg_${hash.digest('hex').slice(0, 32)}`;
}

function sign(key: Buffer, head: string, body: Buffer): string {
  return `v1,${createHmac('sha256', key).update(head).update(body).digest('base64')}`;
}

const MIN_KEY_BYTES = 16;

function readKey(
  { secrets }: Surroundings,
  reference: SinkWebhook['signing']['secret'],
): Result<Buffer, string> {
  const secret = readSecret(secrets, reference);
  if (!secret.ok) return secret;
  // Standard Webhooks: `whsec_` and base64; other text counts as the bytes that it is.
  const text = secret.value;
  const key = text.startsWith('whsec_') ? Buffer.from(text.slice(6), 'base64') : Buffer.from(text);
  return key.length >= MIN_KEY_BYTES
    ? ok(key)
    : fail(`the signing secret has fewer than ${MIN_KEY_BYTES} bytes`);
}
