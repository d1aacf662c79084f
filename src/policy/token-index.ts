import { claimText, collectClaim } from './claims.ts';
import type { Facts } from './facts.ts';
import { NumberList } from './number-list.ts';
import type { PatternIndex } from './pattern-index.ts';
import { TextIndex } from './text-index.ts';

/** Request principals: issuer and subject each through an index of its own, then the pairs that matched. */
export function requestPrincipalIndex(): PatternIndex {
  const issuers = new TextIndex(false);
  const subjects = new TextIndex(false);
  const pairs = new Map<number, number>();
  const foundIssuers = new NumberList();
  const foundSubjects = new NumberList();
  let parts = 0;
  return {
    at(pattern, create) {
      if (pattern.kind !== 'issuerSubject') throw new Error('not a request principal');
      const issuer = issuers.at(pattern.issuer, () => parts++);
      const subject = subjects.at(pattern.subject, () => parts++);
      const key = issuer * PAIR + subject;
      const value = pairs.get(key) ?? create();
      pairs.set(key, value);
      return value;
    },
    collect(facts, out) {
      const issuer = claimText(facts.claims, 'iss');
      const subject = claimText(facts.claims, 'sub');
      if (issuer === undefined || subject === undefined) return;
      collectText(issuers, issuer, facts, foundIssuers);
      collectText(subjects, subject, facts, foundSubjects);
      for (let i = 0; i < foundIssuers.count; i++) {
        for (let k = 0; k < foundSubjects.count; k++) {
          const value = pairs.get(foundIssuers.at(i) * PAIR + foundSubjects.at(k));
          if (value !== undefined) out.push(value);
        }
      }
    },
  };
}

/** The lines of one header, each by itself, or the texts of one claim. */
export function manyTextsIndex(
  source:
    | { readonly kind: 'header'; readonly name: string }
    | { readonly kind: 'claim'; readonly path: readonly string[] },
): PatternIndex {
  const texts = new TextIndex(false);
  const values: string[] = [];
  return {
    at: (pattern, create) => texts.at(pattern, create),
    collect(facts, out) {
      values.length = 0;
      if (source.kind === 'header') facts.headers?.collect(source.name, values);
      else collectClaim(facts.claims, source.path, values);
      for (let i = 0; i < values.length; i++) {
        const value = values[i] ?? '';
        facts.otherHashes.reset(value);
        texts.collect(value, facts.otherHashes, out);
      }
    },
  };
}

// More than any program has patterns, so that two numbers below it make one that stays exact.
const PAIR = 2 ** 26;

function collectText(index: TextIndex, text: string, facts: Facts, out: NumberList): void {
  out.count = 0;
  facts.otherHashes.reset(text);
  index.collect(text, facts.otherHashes, out);
}
