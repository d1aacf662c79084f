import { z } from 'zod';
import { fail, ok, type Result } from '#lib';
import type { AccessRecord } from '#telemetry';

const text = z.string().max(16_384).nullable();
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

// What an agent sends is checked for shape, not believed: a host that lies about its own calls can be named by node.
const RECORD = z.looseObject({
  time: z.iso.datetime(),
  kind: z.enum(['http', 'tcp']),
  reporter: z.enum(['destination', 'source']),
  'source.id': text,
  'source.service': text,
  'source.ip': text,
  'destination.id': text,
  'destination.service': text,
  'destination.namespace': text,
  'destination.port': count,
  'connection.sni': text,
  'tls.version': text,
  'tls.cipher': text,
  'tls.group': text,
  peer_serial: text,
  method: text,
  host: text,
  path: text,
  policy: text,
  rule: text,
  policy_version: text,
  denial_id: text,
  trace_id: text,
  span_id: text,
  id: z.string().max(64).optional(),
  parent_span_id: text.optional(),
  decision_us: count.optional(),
  tunnel_wait_us: count.optional(),
  upstream_us: count.optional(),
  headers: z.record(z.string().max(64), z.string().max(1024)).optional(),
  redacted: z.array(z.string().max(64)).max(64).optional(),
  weight: count.min(1).optional(),
  kept: z.string().max(32).optional(),
  duration_us: count,
  bytes_in: count,
  bytes_out: count,
  status: count.nullable(),
  reason: text,
  verdict: z.enum(['allow', 'deny']),
  seq: count,
});

const MAX_BYTES = 64 * 1024;

/** Reads one access record as it travels; an error in words for anything that is none. */
export function parseRecord(bytes: Uint8Array): Result<AccessRecord, string> {
  if (bytes.length > MAX_BYTES) return fail(`a record of ${bytes.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    return fail('a record that is no JSON');
  }
  const parsed = RECORD.safeParse(value);
  if (parsed.success) return ok(parsed.data as AccessRecord);
  const [issue] = parsed.error.issues;
  return fail(`a record whose \`${issue?.path.join('.') ?? ''}\` is not as documented`);
}
