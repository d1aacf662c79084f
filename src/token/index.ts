// token: tokens of end users: their issuers' keys, their signatures and claims, proofs of possession. Pure.
export { isTokenAlgorithm, TOKEN_ALGORITHMS, type TokenAlgorithm } from './algorithms.ts';
export { type DecodedToken, decodeToken } from './compact.ts';
export { type DpopProof, verifyDpop } from './dpop.ts';
export { outputHeaders, type WrittenHeader, writtenHeaders } from './headers.ts';
export { type KeySet, MAX_JWKS_BYTES, parseJwks, type TokenKey } from './jwks.ts';
export { TOKEN_PROBLEMS, type TokenProblem } from './problem.ts';
export type { KeyOrigin, TokenLocation, TokenRule } from './rule.ts';
export { checkClaims, type VerifiedToken, verifyToken } from './verify.ts';
