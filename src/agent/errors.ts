/** Why signed policy that verified is not enforced, by stable code, besides those of the trust layer. */
export const AGENT_ERRORS = {
  resource_invalid: 'a signed resource has a kind or field that this version does not know',
  compile_failed: 'a signed set does not compile',
} as const;

/** The codes of `AGENT_ERRORS`. */
export type AgentErrorCode = keyof typeof AGENT_ERRORS;
