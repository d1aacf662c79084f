import { fail, ok, type Result } from './result.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Parses `250ms`, `30s`, `5m`, `1h30m`, `72h`, `2d` to milliseconds; anything else is an error in words. */
export function parseDuration(text: string): Result<number, string> {
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)/g)];
  const matched = parts.map((part) => part[0]).join('');
  if (text === '' || matched !== text) {
    return fail(
      `\`${text.slice(0, 40)}\` is not a duration: write for example 250ms, 30s, 5m or 1h30m`,
    );
  }
  return ok(parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0), 0));
}

/** The shortest text that `parseDuration` reads back to the same milliseconds, e.g. `1h30m`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  let rest = Math.round(ms / 1000) * 1000;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
