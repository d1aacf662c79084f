// trust: who may say what is policy. Trust roots, signed policy sets, proofs of single resources. Pure: whoever calls
// brings the clock, the bytes and the pinned root. Nothing here throws on what came from elsewhere.
export { canonicalJson, decodeCanonicalJson, encodeCanonicalJson } from './canonical-json.ts';
export {
  type Commit,
  type CommitOptions,
  createCommit,
  DEFAULT_COMMIT_TTL_MS,
  type VerifiedHead,
} from './commit.ts';
export {
  countersign,
  type DsseEnvelope,
  decodeEnvelope,
  encodeEnvelope,
  parseEnvelope,
} from './dsse.ts';
export { TRUST_ERRORS, type TrustError, type TrustErrorCode, TrustPromiseError } from './errors.ts';
export {
  FIRST_PREVIOUS_HASH,
  hashOf as hashOfLogEntry,
  LOG_HEAD_TYPE,
  type LogEntry,
  type LogFields,
  type LogHead,
  type SignedLogHead,
} from './issuance-entry.ts';
export {
  createJoinToken,
  type JoinToken,
  MAX_JOIN_TOKEN_TTL_MS,
  openJoinToken,
} from './join-token.ts';
export { type JwtKeySet, openJwtKeys, signJwtKeys } from './jwt-keys.ts';
export {
  type AbsenceProof,
  type InclusionProof,
  type LookupAnswer,
  type LookupQuestion,
  proveResource,
  verifyLookup,
} from './lookup.ts';
export { type NextRoot, openNextRoot, signNextRoot } from './next-root.ts';
export { createPolicyKey, loadSigner, type PolicyKey, type PolicySigner } from './policy-key.ts';
export {
  applyUpdate,
  fullUpdate,
  type PolicySet,
  type PolicySetUpdate,
  type ResourceChange,
} from './policy-set.ts';
export { indexRegistrations, matchRegistrations } from './registrations.ts';
export {
  type Revocation,
  type RevocationAct,
  type RevocationTarget,
  signRevocation,
  type VerifiedRevocation,
} from './revocation.ts';
export {
  type ActiveRevocation,
  activeRevocations,
  compileRevocations,
  describeTarget,
} from './revocation-index.ts';
export { type ChainProblem, type ChainState, RevocationSet } from './revocation-set.ts';
export { openSignedJson, signJson } from './signed-json.ts';
export {
  decodeAnswer,
  decodeUpdate,
  type EncodedAnswer,
  type EncodedUpdate,
  encodeAnswer,
  encodeUpdate,
} from './transport.ts';
export {
  openTrustRoot,
  signTrustRoot,
  succeedTrustRoot,
  type TrustedPolicyKey,
  type TrustRoot,
} from './trust-root.ts';
export {
  type LogProblem,
  type LogVerification,
  openLogHead,
  verifyIssuanceLog,
} from './verify-issuance-log.ts';
