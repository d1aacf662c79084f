import { Composer, type CST, type Document, type ParsedNode, Parser } from 'yaml';
import type { Problem, Range, Report } from './diagnostic.ts';
import type { Node } from './node.ts';
import { nodeFromYaml } from './node-from-yaml.ts';
import type { Source } from './source.ts';
import { yamlSyntaxProblem } from './yaml-syntax.ts';

/** One document of a file that is well-formed; `text` is its own, comments included. */
export type ReadDocument = { readonly root: Node; readonly text: string };

/** The deepest nesting a resource may have; Istio's deepest is ten. */
export const MAX_DEPTH = 32;
const MAX_DOCUMENT_LENGTH = 1024 * 1024;
const MAX_DOCUMENTS = 10_000;

/** Reads the documents of a file, reporting those that are not well-formed; never throws. */
export function readYaml(source: Source, report: Report): readonly ReadDocument[] {
  if (!isReadable(source, report)) return [];
  try {
    return composeAll(source, report);
  } catch {
    // The library's promise is to collect errors; should it break it, the file is refused.
    report.error([0, 0], {
      code: 'yaml_syntax',
      message: 'the file cannot be read as YAML',
      help: 'reduce it to a part that can be read, and add the rest step by step',
    });
    return [];
  }
}

function isReadable(source: Source, report: Report): boolean {
  const { text } = source;
  const strange = text.search(UNREADABLE);
  if (strange >= 0) {
    report.error([strange, strange + 1], {
      code: 'not_text',
      message: 'the file is not UTF-8 text here',
      help: 'save the file with the encoding UTF-8',
    });
    return false;
  }
  const large = largeDocumentAt(text);
  if (large === undefined) return true;
  report.error([large, large], {
    code: 'document_too_large',
    message: 'the document that begins here is larger than 1 MiB',
    help: 'write fewer rules to a policy, or split it into several',
  });
  return false;
}

// A replacement character is what decoding leaves of bytes that are not UTF-8; a NUL is UTF-16 or binary.
const UNREADABLE = /[\0\uFFFD]/;

/** The offset of a document beyond the limit; a line that begins with `---` starts one (YAML 9.1.2). */
function largeDocumentAt(text: string): number | undefined {
  let start = 0;
  while (text.length - start > MAX_DOCUMENT_LENGTH) {
    const next = text.indexOf('\n---', start);
    if (next < 0 || next - start > MAX_DOCUMENT_LENGTH) return start;
    start = next + 1;
  }
  return undefined;
}

function composeAll(source: Source, report: Report): readonly ReadDocument[] {
  const composer = new Composer({
    version: '1.2',
    // SECURITY: the library compares every key with every other; ours is linear and knows the place.
    uniqueKeys: false,
    resolveKnownTags: false,
    prettyErrors: false,
    logLevel: 'silent',
    keepSourceTokens: false,
  });
  const documents: ReadDocument[] = [];
  let end = 0;
  let count = 0;
  const take = (document: Document.Parsed) => {
    const read = readDocument({ document, source, report, start: end });
    end = document.range[2];
    if (read !== undefined) documents.push(read);
  };
  for (const token of new Parser().parse(source.text)) {
    if (isDeeperThan(token, MAX_DEPTH)) {
      report.error([token.offset, token.offset], TOO_DEEP);
      return documents;
    }
    if (token.type === 'document' && ++count > MAX_DOCUMENTS) {
      report.error([token.offset, token.offset], TOO_MANY_DOCUMENTS);
      return documents;
    }
    for (const document of composer.next(token)) take(document as Document.Parsed);
  }
  for (const document of composer.end(false, source.text.length)) take(document as Document.Parsed);
  return documents;
}

function readDocument(options: {
  readonly document: Document.Parsed;
  readonly source: Source;
  readonly report: Report;
  readonly start: number;
}): ReadDocument | undefined {
  const { document, source, report, start } = options;
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    report.error(visible(source.text, pos), yamlSyntaxProblem(code, message));
  }
  if (document.errors.length > 0 || document.warnings.length > 0) return undefined;
  const contents = document.contents as ParsedNode | null;
  if (contents === null || isNothing(contents)) return undefined;
  const root = nodeFromYaml(contents, report);
  if (root === undefined) return undefined;
  const text = source.text
    .slice(start, document.range[2])
    .replace(/^(?:\.\.\.|---)?[ \t]*\r?\n/, '');
  return { root, text };
}

/** Whether a document is empty, or nothing but comments. */
function isNothing(contents: ParsedNode): boolean {
  return 'value' in contents && contents.value === null && contents.range[0] === contents.range[1];
}

/** Moves an error's place back over white space, so that it lies on a line that shows something. */
function visible(text: string, pos: readonly [number, number]): Range {
  let at = Math.min(pos[0], text.length);
  if (at < text.length && !/\s/.test(text[at] ?? '')) return [at, Math.max(at + 1, pos[1])];
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
