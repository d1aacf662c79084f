import { z } from '@hono/zod-openapi';
import type { AccessRecord } from '#telemetry';
import { ApiProblem } from '../errors.ts';
import { reconsider } from '../question.ts';
import type { ApiContext } from './context.ts';
import { AnyObject, asObject } from './schemas.ts';

/** A recorded call judged by the versions of policy it was decided by, and by the present ones. */
export const ReconsideredCall = z
  .object({
    explanation: AnyObject,
    evaluatedAt: z.record(z.string(), z.int()),
    exact: z.boolean(),
    changedSince: z.boolean(),
    now: AnyObject,
  })
  .openapi('ReconsideredCall');

/** The body that tells of one; a call that cannot be judged again ends the request with `cannot_answer`. */
export function reconsideredCall(
  record: AccessRecord,
  { resources, trustDomain, clock }: ApiContext,
): z.infer<typeof ReconsideredCall> {
  const found = reconsider(record, resources, trustDomain, clock());
  if (!found.ok) throw new ApiProblem('cannot_answer', found.error);
  const { explanation, now, evaluatedAt, ...facts } = found.value;
  return {
    explanation: asObject(explanation),
    now: asObject(now),
    evaluatedAt: { ...evaluatedAt },
    ...facts,
  };
}
