import type { Problem } from './diagnostic.ts';
import { quote } from './schema.ts';

/**
 * The problem of a `*` that is no wildcard: Istio knows one at one end, the front counting first,
 * and takes every other star as a character.
 */
export function misplacedStar(value: string): Problem | undefined {
  if (!value.includes('*') || value === '*') return undefined;
  const rest = value.startsWith('*') ? value.slice(1) : value.replace(/\*$/, '');
  if (!rest.includes('*')) return undefined;
  return {
    code: 'bad_wildcard',
    message: `${quote(value)} has a \`*\` that is no wildcard and matches only itself`,
    help: 'a `*` is a wildcard as the first or as the last character, once',
  };
}
