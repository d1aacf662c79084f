/**
 * The line numbers, from 1, at which each rule of an AuthorizationPolicy begins in its source. Reads
 * indentation only, which is enough for block style; a source in flow style gives none.
 */
export function ruleLines(source: string): readonly number[] {
  const lines = source.split('\n');
  const rulesAt = lines.findIndex((line) => /^\s+rules:\s*(#.*)?$/.test(line));
  if (rulesAt < 0) return [];
  const depth = indentOf(lines[rulesAt] ?? '');
  const found: number[] = [];
  let itemDepth: number | undefined;
  for (const [offset, line] of lines.slice(rulesAt + 1).entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const indent = indentOf(line);
    const isItem = /^\s*-(\s|$)/.test(line);
    // YAML lets items stand at the depth of their key; anything else there ends the list.
    if (indent < depth || (indent === depth && !isItem)) break;
    itemDepth ??= indent;
    if (isItem && indent === itemDepth) found.push(rulesAt + offset + 2);
  }
  return found;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
