/** Evidence and answers as they travel: JSON objects. */
export type Evidence = Readonly<Record<string, unknown>>;

/** How a host proves itself to the authority. */
export type EvidenceSource = {
  /** The attestor that verifies it, e.g. `x509pop`. */
  readonly attestor: string;
  /** The agent's ID after `/palisade/agent/` that the evidence leads to. Rejects in words where the evidence cannot be had. */
  readonly agent: () => Promise<string>;
  readonly evidence: () => Promise<Evidence>;
  /** Answers the authority's challenge; `publicKeyDer` is the key that is to be certified. */
  readonly answer?: (challenge: Evidence, publicKeyDer: Uint8Array) => Promise<Evidence>;
};

/** The bytes of a base64 member of a challenge. Throws if it has none. */
export function challengeBytes(challenge: Evidence, name: string): Buffer {
  const text = challenge[name];
  if (typeof text !== 'string') throw new Error(`the authority's challenge has no \`${name}\``);
  return Buffer.from(text, 'base64');
}
