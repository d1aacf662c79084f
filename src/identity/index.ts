// identity: SPIFFE IDs, X.509-SVIDs and their bundles: parsing, verifying, making. Pure: time comes in.
export { attestationProof } from './attestation-proof.ts';
export {
  ATTESTATION_STRENGTHS,
  type AttestationStrength,
  attestationRank,
  isAttestationStrength,
  strongest,
} from './attestation-strength.ts';
export {
  type Bundle,
  bundlePem,
  parseBundle,
  type WorkloadIdentity,
} from './bundle.ts';
export { type CrlFields, issueCrl, type RevokedSerial } from './crl.ts';
export { type Csr, createCsr, parseCsr } from './csr.ts';
export {
  type ForeignCertificate,
  parseAuthorities,
  verifyForeignCertificate,
} from './foreign-certificate.ts';
export {
  type AuthorityRequest,
  createAuthorityCsr,
  decodeSerial,
  type IntermediateOptions,
  issueIntermediate,
  loadIntermediate,
  parseAuthorityCsr,
} from './intermediate.ts';
export {
  createRoot,
  createSelfSignedClient,
  type Issuer,
  issueX509Svid,
  issueX509SvidLater,
  loadIssuer,
  loadSigningKey,
  type RootOptions,
  type SelfSignedClient,
  type SvidOptions,
} from './issue.ts';
export { decodeCompact, parseJsonObject } from './jwt-compact.ts';
export {
  type JwtKey,
  type JwtSigningKey,
  jwtKeyOf,
  parseJwk,
  verifyJwtSignature,
} from './jwt-key.ts';
export {
  type JwtBundle,
  type JwtError,
  type JwtErrorCode,
  type JwtSvid,
  revocableOf,
  signJwtSvid,
  verifyJwtSvid,
} from './jwt-svid.ts';
export { derToPem, pemToDer } from './pem.ts';
export {
  BACKDATE_MS,
  nothingRevoked,
  type Revocable,
  type RevocationCheck,
  type Revoked,
  requesterTag,
} from './revocation.ts';
export {
  createKeyPair,
  createSigningKey,
  ECDSA_SHA256,
  exportSpki,
  type SigningKey,
} from './signing-key.ts';
export {
  encodeJwks,
  encodeSpiffeBundle,
  parseSpiffeBundle,
  type SpiffeBundle,
} from './spiffe-bundle.ts';
export { parseSpiffeId, type SpiffeId, workloadSpiffeId } from './spiffe-id.ts';
export { parseTrustDomain, type TrustDomain } from './trust-domain.ts';
export { type PeerSvid, type VerifyOptions, verifyX509Svid } from './verify.ts';
export type { VerifyError, VerifyErrorCode } from './verify-error.ts';
