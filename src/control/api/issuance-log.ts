import { createRoute, z } from '@hono/zod-openapi';
import { decodeEnvelope } from '#trust';
import type { LogEntry } from '#wire';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { AnyObject, answers, Envelope } from './schemas.ts';

const Page = z
  .object({ entries: z.array(AnyObject), head: Envelope.nullable() })
  .openapi('IssuanceLogPage');

const read = createRoute({
  method: 'get',
  path: '/issuance-log',
  summary: "The authority's log, oldest first, with its signed head; whoever asks verifies them",
  request: {
    query: z.object({
      after: z.coerce.number().int().min(0).optional(),
      limit: z.coerce.number().int().min(1).max(1000).optional(),
    }),
  },
  responses: answers(Page, ['unavailable']),
});

/** GET /issuance-log. */
export function addIssuanceLogRoute(api: Api, context: ApiContext): void {
  api.openapi(read, async (c) => {
    const { after = 0, limit = 1000 } = c.req.valid('query');
    const page = await context.issuance.page(after, limit).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiProblem('unavailable', `the authority cannot be asked: ${reason}`);
    });
    const head = decodeEnvelope(page.head);
    const signed = head.ok
      ? { ...head.value, signatures: head.value.signatures.map((each) => ({ ...each })) }
      : null;
    return c.json({ entries: page.entries.map(entryOf), head: signed }, 200);
  });
}

/** An entry with exactly the members that its hash is over, and the hash. */
function entryOf(entry: LogEntry): Record<string, unknown> {
  const { $typeName: _type, $unknown: _unknown, attestation, kind, audience, ...rest } = entry;
  return {
    ...rest,
    number: Number(entry.number),
    timeMs: Number(entry.timeMs),
    expiresAtMs: Number(entry.expiresAtMs),
    ...(attestation === '' ? {} : { attestation }),
    ...(kind === '' ? {} : { kind, audience }),
  };
}
