import type { ConsultRequest } from '#proxy';

/** A connection, or several, to one provider. */
export type ProviderClient = {
  /** Asks once; rejects with a `ProviderError` where there is no answer that counts. */
  readonly ask: (request: ConsultRequest, signal: AbortSignal) => Promise<'allow' | 'deny'>;
  readonly close: () => void;
};

/** Why a provider's answer does not count, as a stable word. */
export class ProviderError extends Error {
  readonly word: string;

  constructor(word: string) {
    super(`the provider did not answer: ${word}`);
    this.word = word;
  }
}
