/** The difference of two short texts, line by line, as a unified diff shows it. Pure. */

/** Longer texts than this are shown as all removed and all added; the table below is quadratic. */
const MAX_LINES = 2000;
/** Lines that stay the same are shown this far around a change. */
const CONTEXT = 3;

type Line = { readonly sign: ' ' | '+' | '-'; readonly text: string };

/**
 * Lines that begin with `+`, `-` or a space; stretches without a change are left out behind a line
 * that begins with `@@`. Equal texts give an empty one.
 */
export function lineDiff(before: string, after: string): string {
  const lines = diffLines(linesOf(before), linesOf(after));
  if (lines.every((line) => line.sign === ' ')) return '';
  return withoutTheSame(lines).join('\n');
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function diffLines(before: readonly string[], after: readonly string[]): readonly Line[] {
  if (before.length > MAX_LINES || after.length > MAX_LINES) {
    return [
      ...before.map((text): Line => ({ sign: '-', text })),
      ...after.map((text): Line => ({ sign: '+', text })),
    ];
  }
  const common = commonLengths(before, after);
  const lines: Line[] = [];
  let [b, a] = [0, 0];
  while (b < before.length || a < after.length) {
    const [removed, added] = [before[b], after[a]];
    if (removed !== undefined && removed === added) {
      lines.push({ sign: ' ', text: removed });
      b += 1;
      a += 1;
    } else if (removed !== undefined && lengthAt(common, b + 1, a) >= lengthAt(common, b, a + 1)) {
      lines.push({ sign: '-', text: removed });
      b += 1;
    } else if (added !== undefined) {
      lines.push({ sign: '+', text: added });
      a += 1;
    } else {
      lines.push({ sign: '-', text: removed ?? '' });
      b += 1;
    }
  }
  return lines;
}

/** At [b][a] the length of the longest common subsequence of what follows. */
function commonLengths(before: readonly string[], after: readonly string[]): Uint16Array[] {
  const table = Array.from({ length: before.length + 1 }, () => new Uint16Array(after.length + 1));
  for (let b = before.length - 1; b >= 0; b -= 1) {
    for (let a = after.length - 1; a >= 0; a -= 1) {
      const row = table[b];
      if (row === undefined) continue;
      row[a] =
        before[b] === after[a]
          ? lengthAt(table, b + 1, a + 1) + 1
          : Math.max(lengthAt(table, b + 1, a), lengthAt(table, b, a + 1));
    }
  }
  return table;
}

function lengthAt(table: readonly Uint16Array[], b: number, a: number): number {
  return table[b]?.[a] ?? 0;
}

function withoutTheSame(lines: readonly Line[]): readonly string[] {
  const isNear = lines.map((_, index) =>
    lines
      .slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1)
      .some((line) => line.sign !== ' '),
  );
  const shown: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (isNear[index] === true) shown.push(`${line.sign}${line.text}`);
    else if (isNear[index - 1] !== false) shown.push(`@@ ${skipped(isNear, index)} lines the same`);
  }
  return shown;
}

function skipped(isNear: readonly boolean[], from: number): number {
  const end = isNear.indexOf(true, from);
  return (end < 0 ? isNear.length : end) - from;
}
