import type { TokenRule } from './rule.ts';

/** A header field as a token's claims write it. */
export type WrittenHeader = readonly [name: string, value: string];

/** Header names that only a token may write, and so nobody else. */
export function outputHeaders(rules: readonly TokenRule[]): readonly string[] {
  const names = rules.flatMap(({ payloadHeader, claimHeaders }) => [
    ...(payloadHeader === undefined ? [] : [payloadHeader]),
    ...claimHeaders.map(({ header }) => header),
  ]);
  return [...new Set(names)];
}

/** The headers a verified token writes. `payload` is its second part as it came, base64url. */
export function writtenHeaders(
  { payloadHeader, claimHeaders }: TokenRule,
  claims: Readonly<Record<string, unknown>>,
  payload: string,
): readonly WrittenHeader[] {
  const written: WrittenHeader[] = [];
  if (payloadHeader !== undefined) written.push([payloadHeader, payload]);
  for (const { header, claim } of claimHeaders) {
    const value = headerValue(claimAt(claims, claim));
    if (value !== undefined) written.push([header, value]);
  }
  return written;
}

/** The claim of that name, or where there is none, the one a path of names with dots leads to. */
function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let at: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** As Envoy writes claims: lists and objects as JSON in base64url. */
function headerValue(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object') return Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = String(value);
  // SECURITY: a claim with a line break would write headers of its own; what no field can hold is left out.
  return /^[!-~](?:[ -~]*[!-~])?$/.test(text) ? text : undefined;
}
