/** The part of Markdown that runbooks are written in, as blocks and pieces. Pure; it never makes HTML. */

/** A piece of a line. Links lead where `href` says; what it may be, the reader of the pieces decides. */
export type Inline =
  | { readonly kind: 'text' | 'code' | 'strong' | 'em'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly href: string };

/** A block of a document. */
export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly inline: readonly Inline[] }
  | { readonly kind: 'paragraph'; readonly inline: readonly Inline[] }
  | { readonly kind: 'code'; readonly text: string }
  | {
      readonly kind: 'list';
      readonly ordered: boolean;
      readonly items: readonly (readonly Inline[])[];
    }
  | { readonly kind: 'table'; readonly rows: readonly (readonly (readonly Inline[])[])[] };

const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;

/** Reads a document into blocks. Whatever is not understood is text. */
export function parseMarkdown(source: string): readonly Block[] {
  const lines = source.replaceAll('\r\n', '\n').split('\n');
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (line.trim() === '') {
      at += 1;
      continue;
    }
    const [block, end] = blockAt(lines, at);
    blocks.push(block);
    at = end;
  }
  return blocks;
}

/** The block that begins at a line, and the line after it. */
function blockAt(lines: readonly string[], at: number): readonly [Block, number] {
  const line = lines[at] ?? '';
  const fence = /^\s*(```+|~~~+)/.exec(line)?.[1];
  if (fence !== undefined) return codeAt(lines, at, fence);
  const [, marks = '', title = ''] = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line) ?? [];
  if (marks !== '') {
    return [{ kind: 'heading', level: marks.length, inline: parseInline(title) }, at + 1];
  }
  if (ITEM.test(line)) return listAt(lines, at);
  if (/^\s*\|/.test(line)) return tableAt(lines, at);
  const end = endOf(lines, at, (next) => startsBlock(next));
  const text = lines.slice(at, end).map((part) => part.trim());
  return [{ kind: 'paragraph', inline: parseInline(text.join(' ')) }, end];
}

function codeAt(lines: readonly string[], at: number, fence: string): readonly [Block, number] {
  const end = endOf(lines, at, (next) => next.trim().startsWith(fence), true);
  return [{ kind: 'code', text: lines.slice(at + 1, end).join('\n') }, end + 1];
}

function listAt(lines: readonly string[], at: number): readonly [Block, number] {
  const ordered = ITEM.exec(lines[at] ?? '')?.[1] !== undefined;
  const items: string[] = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    const line = lines[end] ?? '';
    const [, , text] = ITEM.exec(line) ?? [];
    if (text !== undefined) items.push(text);
    else if (/^\s+\S/.test(line)) items[items.length - 1] += ` ${line.trim()}`;
    else break;
  }
  return [{ kind: 'list', ordered, items: items.map(parseInline) }, end];
}

function tableAt(lines: readonly string[], at: number): readonly [Block, number] {
  const end = endOf(lines, at, (next) => !/^\s*\|/.test(next));
  const rows = lines
    .slice(at, end)
    .filter((line) => !/^[\s|:-]+$/.test(line))
    .map((line) =>
      line
        .trim()
        .replace(/^\||\|$/g, '')
        .split(/(?<!\\)\|/)
        .map((cell) => parseInline(cell.trim())),
    );
  return [{ kind: 'table', rows }, end];
}

/** The first line after `at` where the block ends; empty lines end it unless they belong to it. */
function endOf(
  lines: readonly string[],
  at: number,
  ends: (line: string) => boolean,
  keepsEmpty = false,
): number {
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end] ?? '';
    if ((!keepsEmpty && line.trim() === '') || ends(line)) break;
    end += 1;
  }
  return end;
}

function startsBlock(line: string): boolean {
  return ITEM.test(line) || /^(#{1,6}\s|\s*```|\s*~~~|\s*\|)/.test(line);
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;

function parseInline(text: string): readonly Inline[] {
  const pieces: Inline[] = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > from) pieces.push({ kind: 'text', text: text.slice(from, match.index) });
    pieces.push(inlineOf(match));
    from = match.index + match[0].length;
  }
  if (from < text.length) pieces.push({ kind: 'text', text: text.slice(from) });
  return pieces;
}

function inlineOf([, code, strong, em, link = '', href = '']: RegExpExecArray): Inline {
  if (code !== undefined) return { kind: 'code', text: code };
  if (strong !== undefined) return { kind: 'strong', text: strong };
  if (em !== undefined) return { kind: 'em', text: em };
  return { kind: 'link', text: link, href };
}
