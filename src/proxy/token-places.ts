import type { TokenLocation, TokenRule } from '#token';
import type { RequestFacts } from './http-call.ts';

/** One place in requests, and the issuers whose tokens may stand there. */
export type TokenPlace = { readonly location: TokenLocation; readonly rules: readonly TokenRule[] };

/** What stands in a place: nothing, one token, or several, of which nobody knows which is meant. */
export type Found =
  | { readonly kind: 'none' }
  | { readonly kind: 'several' }
  | { readonly kind: 'token'; readonly token: string };

const NONE: Found = { kind: 'none' };
const SEVERAL: Found = { kind: 'several' };

/** The different places of some rules, in the order in which they are written. */
export function placesOf(rules: readonly TokenRule[]): readonly TokenPlace[] {
  const places = new Map<string, { location: TokenLocation; rules: TokenRule[] }>();
  for (const rule of rules) {
    for (const location of rule.locations) {
      const key = JSON.stringify(location);
      const place = places.get(key) ?? { location, rules: [] };
      if (!place.rules.includes(rule)) place.rules.push(rule);
      places.set(key, place);
    }
  }
  return [...places.values()];
}

/** Looks for a token in one place of a request. */
export function findToken(location: TokenLocation, head: RequestFacts): Found {
  switch (location.kind) {
    case 'header':
      return one(afterPrefix(head.fields.values(location.name), location.prefix));
    case 'param':
      return one(parameters(head.target, location.name));
    case 'cookie':
      return one(cookies(head.fields.values('cookie'), location.name));
  }
}

/** SECURITY: of two tokens the sidecar could verify one and the application believe the other. */
function one(tokens: readonly string[]): Found {
  const [token] = tokens;
  if (token === undefined) return NONE;
  return tokens.length === 1 ? { kind: 'token', token } : SEVERAL;
}

/** RFC 9110 section 11.1: schemes are compared without case, and so are all prefixes. */
function afterPrefix(values: readonly string[], prefix: string): readonly string[] {
  const found: string[] = [];
  for (const value of values) {
    const start = value.slice(0, prefix.length);
    if (start === prefix || start.toLowerCase() === prefix.toLowerCase()) {
      found.push(value.slice(prefix.length).trim());
    }
  }
  return found;
}

function parameters(target: string, name: string): readonly string[] {
  const query = target.indexOf('?');
  return query < 0 ? [] : new URLSearchParams(target.slice(query + 1)).getAll(name);
}

/** RFC 6265 section 4.2.1. */
function cookies(lines: readonly string[], name: string): readonly string[] {
  const found: string[] = [];
  for (const line of lines) {
    for (const pair of line.split(';')) {
      const equals = pair.indexOf('=');
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
      found.push(
        pair
          .slice(equals + 1)
          .trim()
          .replace(/^"(.*)"$/, '$1'),
      );
    }
  }
  return found;
}
