import { attestationRank } from '#identity';
import { type TimeWindow, windowHolds } from '#lib';
import {
  type AddressIndex,
  createAddress,
  createAddressIndex,
  readAddress,
} from './address-index.ts';
import { type Facts, factAddress, factHashes, factText } from './facts.ts';
import { claimPathOf, type Field, headerNameOf, isAddressField } from './field.ts';
import { accountIndex, namespaceIndex } from './identity-index.ts';
import type { Pattern } from './ir.ts';
import type { NumberList } from './number-list.ts';
import { rememberedByText } from './remembered-index.ts';
import { TextIndex } from './text-index.ts';
import { manyTextsIndex, requestPrincipalIndex } from './token-index.ts';

/**
 * Numbers under the patterns of one field. `collect` finds the numbers of all patterns that match in
 * time that grows with the length of the field's value, not with how many patterns there are.
 */
export type PatternIndex = {
  /** The number under a pattern, made by `create` where there is none. */
  readonly at: (pattern: Pattern, create: () => number) => number;
  /** Appends the numbers of all patterns that match, some perhaps twice. */
  readonly collect: (facts: Facts, out: NumberList) => void;
};

/** An empty index over the patterns of `field`. */
export function createPatternIndex(field: Field): PatternIndex {
  const name = headerNameOf(field);
  if (name !== undefined) return manyTextsIndex({ kind: 'header', name });
  const path = claimPathOf(field);
  if (path !== undefined) return manyTextsIndex({ kind: 'claim', path });
  if (isAddressField(field)) {
    return rememberedByText(blockIndex(field), (facts) => factAddress(field, facts) ?? '');
  }
  switch (field) {
    case 'port':
      return portIndex();
    case 'namespace':
      return rememberedByText(namespaceIndex(), localIdOf);
    case 'serviceAccount':
      return rememberedByText(accountIndex(), localIdOf);
    case 'requestPrincipal':
      return requestPrincipalIndex();
    case 'attestation':
      return strengthIndex();
    case 'time':
      return windowIndex();
    default:
      return textIndex(field);
  }
}

function localIdOf({ localId }: Facts): string | undefined {
  return localId;
}

function textIndex(field: Field): PatternIndex {
  const index = new TextIndex(field !== 'path' && field !== 'host');
  return {
    at: (pattern, create) => index.at(pattern, create),
    collect(facts, out) {
      const text = factText(field, facts);
      if (text !== undefined) index.collect(text, factHashes(field, facts), out);
    },
  };
}

function portIndex(): PatternIndex {
  const values = new Map<number, number>();
  return {
    at(pattern, create) {
      if (pattern.kind !== 'port') throw new Error('a port pattern is a port');
      return valueAt(values, pattern.port, create);
    },
    collect(facts, out) {
      const value = values.get(facts.port);
      if (value !== undefined) out.push(value);
    },
  };
}

function blockIndex(field: Field): PatternIndex {
  const values: AddressIndex = createAddressIndex();
  const address = createAddress();
  return {
    at: (pattern, create) => {
      if (pattern.kind !== 'block') throw new Error('an address pattern is a block');
      return values.at(pattern.block, create);
    },
    collect(facts, out) {
      readAddress(factAddress(field, facts) ?? '', address);
      values.collect(address, out);
    },
  };
}

/** By rank: whoever was attested more strongly was attested at least so. */
function strengthIndex(): PatternIndex {
  const values = new Map<number, number>();
  return {
    at(pattern, create) {
      if (pattern.kind !== 'strength') throw new Error('not a strength');
      return valueAt(values, pattern.rank, create);
    },
    collect(facts, out) {
      if (facts.attestation === undefined) return;
      for (let rank = attestationRank(facts.attestation); rank >= 0; rank--) {
        const value = values.get(rank);
        if (value !== undefined) out.push(value);
      }
    },
  };
}

/** Windows are few and differ: each is two comparisons. */
function windowIndex(): PatternIndex {
  const values = new Map<string, number>();
  const windows: { readonly window: TimeWindow; readonly value: number }[] = [];
  return {
    at(pattern, create) {
      if (pattern.kind !== 'window') throw new Error('not a window');
      return valueAt(values, pattern.text, () => {
        const value = create();
        windows.push({ window: pattern.window, value });
        return value;
      });
    },
    collect(facts, out) {
      for (let i = 0; i < windows.length; i++) {
        const entry = windows[i];
        if (entry !== undefined && windowHolds(entry.window, facts.nowMs)) out.push(entry.value);
      }
    },
  };
}

function valueAt<K>(values: Map<K, number>, key: K, create: () => number): number {
  const found = values.get(key);
  if (found !== undefined) return found;
  const created = create();
  values.set(key, created);
  return created;
}
