/** A version that was not taken, as acknowledgements tell it. */
export type Refused = {
  readonly namespace: string;
  readonly number: number;
  readonly hash: string;
  /** One of `TRUST_ERRORS` or `AGENT_ERRORS`. */
  readonly code: string;
  readonly message: string;
};

/** What was refused since the last good version, newest per subject. */
export type Refusals = {
  /** `subject` is a namespace, or a lookup's key within one. */
  readonly add: (subject: string, refused: Refused) => void;
  readonly clear: (subject: string) => void;
  readonly clearAll: () => void;
  readonly all: () => readonly Refused[];
};

// SECURITY: a hostile control plane could invent subjects for ever.
const MAX_REFUSALS = 50;
const MAX_MESSAGE_CHARS = 500;

/** Nothing refused yet. */
export function createRefusals(): Refusals {
  const known = new Map<string, Refused>();
  return {
    add(subject, refused) {
      known.delete(subject);
      if (known.size >= MAX_REFUSALS) known.delete(known.keys().next().value ?? '');
      known.set(subject, { ...refused, message: refused.message.slice(0, MAX_MESSAGE_CHARS) });
    },
    clear: (subject) => known.delete(subject),
    clearAll: () => known.clear(),
    all: () => [...known.values()],
  };
}
