/**
 * Something that holds P-256 keys and never gives them out: a PKCS #11 token, or a program before a key service. It
 * signs digests of SHA-256; what it signs with is called by a reference that is no secret. Everything throws, or rejects,
 * with an Error in words.
 */
export type KeyDevice = {
  readonly kind: string;
  /** A new key. Blocks. */
  readonly create: () => { readonly reference: string; readonly publicKeyDer: Uint8Array };
  /** An ECDSA signature, r and s of 32 bytes each (FIPS 186-5). Blocks: for start-up. */
  readonly sign: (reference: string, digest: Uint8Array) => Buffer;
  readonly signLater: (reference: string, digest: Uint8Array) => Promise<Buffer>;
  /** Destroys a key; one that is not there is none. Blocks. */
  readonly destroy: (reference: string) => void;
  readonly close: () => void;
};
