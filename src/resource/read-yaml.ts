import { Composer, type CST, type Document, type ParsedNode, Parser, visit } from 'yaml';
import type { Problem, Range, Report } from './diagnostic.ts';
import { MAX_DEPTH, type Node } from './node.ts';
import { nodeFromYaml } from './node-from-yaml.ts';
import type { Source } from './source.ts';
import { yamlSyntaxProblem } from './yaml-syntax.ts';

/** One document of a file that is well-formed; `text` is its own, comments included. */
export type ReadDocument = { readonly root: Node; readonly text: string };

const MAX_DOCUMENT_LENGTH = 1024 * 1024;
const MAX_PARTS = 100_000;
const MAX_DOCUMENTS = 10_000;

/** How large one document may be: characters, and the parts that the parser makes objects of. */
export type DocumentLimits = { readonly maxLength: number; readonly maxParts: number };

const RESOURCE_LIMITS: DocumentLimits = { maxLength: MAX_DOCUMENT_LENGTH, maxParts: MAX_PARTS };

/** Reads the documents of a file, reporting those that are not well-formed; never throws. */
export function readYaml(
  source: Source,
  report: Report,
  limits: DocumentLimits = RESOURCE_LIMITS,
): readonly ReadDocument[] {
  const strange = source.text.search(UNREADABLE);
  if (strange >= 0) {
    report.error([strange, strange + 1], NOT_TEXT);
    return [];
  }
  const documents: ReadDocument[] = [];
  let count = 0;
  for (const range of documentRanges(source.text)) {
    if (++count > MAX_DOCUMENTS) {
      report.error(range, TOO_MANY_DOCUMENTS);
      return documents;
    }
    documents.push(...readRange({ text: source.text, range, report, limits }));
  }
  return documents;
}

/** Reads the text of one document; there may be more in it, as `...` may separate documents too. */
function readRange(options: {
  readonly text: string;
  readonly range: Range;
  readonly report: Report;
  readonly limits: DocumentLimits;
}): readonly ReadDocument[] {
  const { text, report, limits } = options;
  const [start, end] = options.range;
  const part = text.slice(start, end);
  if (part.length > limits.maxLength || countParts(part) > limits.maxParts) {
    report.error([start, start], TOO_LARGE);
    return [];
  }
  const placed: Report = {
    error: (at, problem) => report.error([at[0] + start, at[1] + start], problem),
    warn: (at, problem) => report.warn([at[0] + start, at[1] + start], problem),
    errorCount: report.errorCount,
  };
  try {
    return composeAll({ text: part, offset: start, report: placed });
  } catch {
    // The library's promise is to collect errors; should it break it, the document is refused.
    placed.error([0, 0], UNREADABLE_YAML);
    return [];
  }
}

/** A part of a file and where in it the part begins; reports are relative to the part. */
type Part = { readonly text: string; readonly offset: number; readonly report: Report };

// A replacement character is what decoding leaves of bytes that are not UTF-8; a NUL is UTF-16 or binary.
const UNREADABLE = /[\0\uFFFD]/;

const NOT_TEXT: Problem = {
  code: 'not_text',
  message: 'the file is not UTF-8 text here',
  help: 'save the file with the encoding UTF-8',
};

const UNREADABLE_YAML: Problem = {
  code: 'yaml_syntax',
  message: 'the document cannot be read as YAML',
  help: 'reduce it to a part that can be read, and add the rest step by step',
};

const TOO_LARGE: Problem = {
  code: 'document_too_large',
  message: `the document that begins here is larger than 1 MiB or has more than ${MAX_PARTS} parts`,
  help: 'split the resource into several',
};

/**
 * Where documents begin and end: a line of `---`, or `---` and a space, starts one (YAML 9.1.2), even
 * within quotes. Splitting here first keeps an open quote from swallowing the documents after it.
 */
function* documentRanges(text: string): Generator<Range> {
  let start = 0;
  for (let at = text.indexOf('\n---'); at >= 0; at = text.indexOf('\n---', at + 1)) {
    // What precedes the marker may be the document's own directives.
    if (text.charCodeAt(at + 4) > SPACE || isDirectives(text.slice(start, at))) continue;
    yield [start, at + 1];
    start = at + 1;
  }
  yield [start, text.length];
}

function isDirectives(text: string): boolean {
  return text.length < 1000 && /^(?:[ \t]*(?:#.*)?\r?\n)*%/.test(text) && !/^[^%#\s]/m.test(text);
}

/**
 * SECURITY: the parser makes objects of several hundred bytes for each line, item and bracket, so
 * a megabyte of commas would take a gigabyte. They are counted before it sees the text.
 */
function countParts(text: string): number {
  let parts = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (ALWAYS_PART[code] === 1) parts++;
    else if (BEFORE_SPACE[code] === 1 && text.charCodeAt(i + 1) <= SPACE) parts++;
  }
  return parts;
}

const SPACE = 32;
const ALWAYS_PART = flags('\n,[]{}&!*#|>');
const BEFORE_SPACE = flags('-:?');

function flags(characters: string): Uint8Array {
  const set = new Uint8Array(128);
  for (const character of characters) set[character.charCodeAt(0)] = 1;
  return set;
}

function composeAll(part: Part): readonly ReadDocument[] {
  const composer = new Composer({
    version: '1.2',
    // SECURITY: the library compares every key with every other; ours is linear and knows the place.
    uniqueKeys: false,
    resolveKnownTags: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const composed: Document.Parsed[] = [];
  for (const token of new Parser().parse(part.text)) {
    if (isDeeperThan(token, MAX_DEPTH)) {
      part.report.error([token.offset, token.offset], TOO_DEEP);
      return [];
    }
    composed.push(...(composer.next(token) as Iterable<Document.Parsed>));
  }
  composed.push(...(composer.end(false, part.text.length) as Iterable<Document.Parsed>));
  let start = 0;
  return composed.flatMap((document) => {
    const read = readDocument(document, part, start);
    start = document.range[2];
    return read ?? [];
  });
}

function readDocument(
  document: Document.Parsed,
  part: Part,
  start: number,
): ReadDocument | undefined {
  const { text, offset, report } = part;
  const problems = [...document.errors, ...document.warnings];
  for (const { code, message, pos } of problems) {
    const open = /^Missing closing .*quote/.test(message) ? openQuote(document) : undefined;
    report.error(open ?? visible(text, pos), yamlSyntaxProblem(code, message));
  }
  const contents = document.contents as ParsedNode | null;
  if (problems.length > 0 || contents === null || isNothing(contents)) return undefined;
  const root = nodeFromYaml({ root: contents, offset, report });
  if (root === undefined) return undefined;
  const own = text.slice(start, document.range[2]).replace(/^(?:\.\.\.|---)?[ \t]*\r?\n/, '');
  return { root, text: own };
}

/** Where the last quoted text of a document begins, which is the one that does not end. */
function openQuote(document: Document.Parsed): Range | undefined {
  let at: Range | undefined;
  visit(document, {
    Scalar(_key, node) {
      if (node.type?.startsWith('QUOTE') === true && node.range)
        at = [node.range[0], node.range[1]];
    },
  });
  return at;
}

/** Whether a document is empty, or nothing but comments. */
function isNothing(contents: ParsedNode): boolean {
  return 'value' in contents && contents.value === null && contents.range[0] === contents.range[1];
}

/** Moves the place of an error at a line's end to what is before it, so that something is underlined. */
function visible(text: string, pos: readonly [number, number]): Range {
  let at = Math.min(pos[0], text.length);
  if (at < text.length && !/[\r\n]/.test(text[at] ?? '')) return [at, Math.max(at + 1, pos[1])];
  while (at > 0 && /\s/.test(text[at - 1] ?? '')) at--;
  return at === 0 ? [pos[0], pos[1]] : [at - 1, at];
}

const TOO_DEEP: Problem = {
  code: 'too_deep',
  message: `mappings and lists are nested more than ${MAX_DEPTH} deep`,
  help: 'no resource needs that: check brackets and indentation',
};

const TOO_MANY_DOCUMENTS: Problem = {
  code: 'too_many',
  message: `more than ${MAX_DOCUMENTS} documents in one file`,
  help: 'split the file',
};

/**
 * SECURITY: composing recurses, so a text of a million brackets would exhaust the stack. The parser
 * before it does not, and its tokens are measured here without recursion.
 */
function isDeeperThan(root: CST.Token, limit: number): boolean {
  const stack: { readonly token: unknown; readonly depth: number }[] = [{ token: root, depth: -1 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.depth > limit) return true;
    for (const token of childTokens(top.token)) stack.push({ token, depth: top.depth + 1 });
  }
  return false;
}

function childTokens(token: unknown): readonly unknown[] {
  if (typeof token !== 'object' || token === null) return [];
  if ('value' in token && typeof token.value === 'object') return [token.value];
  if (!('items' in token) || !Array.isArray(token.items)) return [];
  return token.items.flatMap(({ key, value }: { key?: unknown; value?: unknown }) =>
    [key, value].filter((part) => typeof part === 'object' && part !== null),
  );
}
