import { fail, ok, type Result } from '#lib';

/** The name of a trust domain, e.g. `cluster.local`; it exists only if `parseTrustDomain` made it. */
export type TrustDomain = string & { readonly brand: 'TrustDomain' };

const MAX_LENGTH = 255;

/** Parses a trust domain's name: lower-case letters, digits, `.`, `-`, `_`, at most 255 (SPIFFE-ID 2.1). */
export function parseTrustDomain(text: string): Result<TrustDomain, string> {
  if (text === '') return fail('a trust domain must not be empty');
  if (text.length > MAX_LENGTH) return fail(`a trust domain has at most ${MAX_LENGTH} characters`);
  const bad = /[^a-z0-9._-]/.exec(text);
  if (bad !== null) {
    return fail(
      `${quoted(bad[0])} at ${bad.index} is not allowed in a trust domain: lower-case letters, digits, \`.\`, \`-\` and \`_\` are`,
    );
  }
  return ok(text as TrustDomain);
}

/** A hostile character made fit for an error text. */
export function quoted(character: string): string {
  return `\`${JSON.stringify(character).slice(1, -1)}\``;
}
