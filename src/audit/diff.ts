import { lineDiff } from '#lib';
import { redactText, redactValue } from './redact.ts';

/** Something before and after; undefined: it was not there, or is not any more. */
export type Changed = {
  readonly name: string;
  readonly before: unknown;
  readonly after: unknown;
};

/** How a value is written for people, e.g. as YAML. */
export type Render = (value: unknown) => string;

// SECURITY: the comparison takes time in proportion to the product of both lengths, and authors choose them.
const MAX_LINES = 800;
const CONTEXT_LINES = 2;

/** What changed as unified text of at most `maxChars`, redacted; the rest is counted. */
export function diffText(
  changes: readonly Changed[],
  render: Render,
  maxChars = 24 * 1_024,
): string {
  const parts: string[] = [];
  let length = 0;
  for (const [i, change] of changes.entries()) {
    const part = diffOf(change, render);
    if (length + part.length > maxChars) {
      parts.push(`… ${changes.length - i} more changed\n`);
      break;
    }
    parts.push(part);
    length += part.length;
  }
  return parts.join('');
}

function diffOf({ name, before, after }: Changed, render: Render): string {
  const old = linesOf(before, render);
  const fresh = linesOf(after, render);
  const head = `--- ${before === undefined ? '/dev/null' : name}\n+++ ${after === undefined ? '/dev/null' : name}\n`;
  if (old.length > MAX_LINES || fresh.length > MAX_LINES) {
    return `${head}  ${old.length} lines before, ${fresh.length} after: too long to show\n`;
  }
  const lines = lineDiff(old, fresh);
  const isNear = (at: number): boolean =>
    lines
      .slice(Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1)
      .some(({ sign }) => sign !== ' ');
  let isGap = false;
  const shown = lines.flatMap(({ sign, text }, at) => {
    if (isNear(at)) {
      isGap = false;
      return [`${sign} ${text}\n`];
    }
    if (isGap) return [];
    isGap = true;
    return ['@@\n'];
  });
  // What a line redacts may have been split over two members: once more over all of it.
  return redactText(head + shown.join(''));
}

function linesOf(value: unknown, render: Render): readonly string[] {
  if (value === undefined) return [];
  return render(redactValue(value)).trimEnd().split('\n');
}
