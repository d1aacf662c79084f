import { IssueRequestSchema, IssueResponseSchema } from './gen/issuance_pb.ts';
import type { MessageFormat } from './message-stream.ts';

const PROTOCOL = 'palisade-issue/1';

/** Requests of agents for SVIDs and the authority's answers, as the authority sees them (issuance.proto). */
export const ISSUE_SERVER = {
  protocol: PROTOCOL,
  receives: IssueRequestSchema,
  sends: IssueResponseSchema,
  // The longest selectors that are taken, and a CSR beside them.
  maxBytes: 1024 * 1024,
} as const satisfies MessageFormat<typeof IssueRequestSchema, typeof IssueResponseSchema>;

/** The same as agents see them. */
export const ISSUE_CLIENT = {
  protocol: PROTOCOL,
  receives: IssueResponseSchema,
  sends: IssueRequestSchema,
  maxBytes: 4 * 1024 * 1024,
} as const satisfies MessageFormat<typeof IssueResponseSchema, typeof IssueRequestSchema>;
