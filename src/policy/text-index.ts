import type { Pattern } from './ir.ts';
import type { NumberList } from './number-list.ts';
import { type PrefixHashes, PrefixTable } from './prefix-table.ts';
import { TemplateIndex } from './template-index.ts';
import { createSuffixTrie, type SuffixTrie } from './trie.ts';

/** Numbers under patterns of texts: exact, prefix, suffix, presence and path template. */
export class TextIndex {
  readonly #isLongLived: boolean;
  readonly #texts: PrefixTable = new PrefixTable();
  #hasTexts = false;
  #named: Map<string, number> | undefined;
  #suffixes: SuffixTrie<number> | undefined;
  #suffixSkip = 0;
  #templates: TemplateIndex | undefined;
  #present: number | undefined;
  #presentEmpty = false;

  /** `isLongLived`: the texts are strings that V8 has hashed already, as identities and methods are. */
  constructor(isLongLived: boolean) {
    this.#isLongLived = isLongLived;
  }

  /** The number under a pattern, made by `create` where there is none. */
  at(pattern: Pattern, create: () => number): number {
    switch (pattern.kind) {
      case 'exact':
        return this.#exactAt(pattern.value, create);
      case 'prefix':
        this.#hasTexts = true;
        return this.#texts.prefixAt(pattern.value, create);
      case 'suffix':
        // Every suffix pattern of a field skips the same: the scheme of identities, or nothing.
        this.#suffixSkip = pattern.skip;
        this.#suffixes ??= createSuffixTrie();
        return this.#suffixes.at(pattern.value, create);
      case 'present':
        this.#presentEmpty = pattern.empty;
        return (this.#present ??= create());
      case 'template':
        this.#templates ??= new TemplateIndex();
        return this.#templates.at(pattern.template, create);
      default:
        throw new Error(`a ${pattern.kind} pattern does not match text`);
    }
  }

  /** Appends the numbers of all patterns that match `text`; `hashes` are begun for it. */
  collect(text: string, hashes: PrefixHashes, out: NumberList): void {
    if (this.#named !== undefined) {
      const value = this.#named.get(text);
      if (value !== undefined) out.push(value);
    }
    if (this.#hasTexts) this.#texts.collect(text, hashes, out);
    if (this.#present !== undefined && (this.#presentEmpty || text !== '')) out.push(this.#present);
    this.#suffixes?.collect(text, this.#suffixSkip, out);
    this.#templates?.collect(text, hashes, out);
  }

  #exactAt(text: string, create: () => number): number {
    if (!this.#isLongLived) {
      this.#hasTexts = true;
      return this.#texts.exactAt(text, create);
    }
    this.#named ??= new Map();
    const known = this.#named.get(text);
    if (known !== undefined) return known;
    const value = create();
    this.#named.set(text, value);
    return value;
  }
}
